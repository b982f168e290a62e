/**
 * Why a running attempt is told to stop, and what then becomes of it.
 *
 * The orchestrator has the last word on every attempt (its token is the fence), so the only question here is what is
 * worth telling it: a finished output always is, unless the attempt is known to be somebody else's by now; a failure
 * that came of stopping is none.
 */
export type StopKind =
  /** A client asked for it. */
  | "cancelled"
  /** Its time is up; the orchestrator's own clock ends the attempt. */
  | "deadlinePassed"
  /** No orchestrator answered heartbeats for the lost threshold: it may have given the work to another agent. */
  | "connectionLost"
  /** The orchestrator said that this attempt was given to another agent or has ended. */
  | "noLongerOurs"
  /** Another process registered under this agent's id. */
  | "superseded"
  /** This process goes down. */
  | "shutdown";

/** The reason of a task's abort signal. Named AbortError, as libraries that take a signal expect. */
export class AttemptStopped extends Error {
  override readonly name = "AbortError";
  readonly kind: StopKind;

  constructor(kind: StopKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export type Settlement = "returned" | "threw";

/**
 * `released` hands the task back without counting the attempt; `dropped` says nothing. `lost` is a failed attempt: the
 * orchestrator would count one that was lost with its agent too, and code that was begun must not be begun without end.
 */
export type Verdict = "completed" | "failed" | "lost" | "cancelled" | "released" | "dropped";

const verdicts: Readonly<Record<StopKind | "none", Readonly<Record<Settlement, Verdict>>>> = {
  none: { returned: "completed", threw: "failed" },
  cancelled: { returned: "completed", threw: "cancelled" },
  deadlinePassed: { returned: "completed", threw: "dropped" },
  connectionLost: { returned: "completed", threw: "lost" },
  noLongerOurs: { returned: "dropped", threw: "dropped" },
  superseded: { returned: "dropped", threw: "dropped" },
  shutdown: { returned: "completed", threw: "released" },
};

export function verdictOf(stopped: StopKind | null, settlement: Settlement): Verdict {
  return verdicts[stopped ?? "none"][settlement];
}
