/**
 * What clients and agents saw of a run: all that the checker may know. Nothing here comes from the engine's memory or its
 * store, and no type of the engine is used, so a mistake of its schemas is not repeated here.
 *
 * Instants are epoch milliseconds. All processes of a run share one machine and so one clock.
 */

/** What an agent is to do with a task; travels as its input. */
export interface WorkOrder {
  readonly do:
    | "echo"
    /** Fails its first `failures` attempts. */
    | "flaky"
    /** Fails every attempt. */
    | "broken"
    /** Fails once and says that trying again is of no use. */
    | "fatal"
    /** Never ends unless it is told to. */
    | "hang"
    /** Completes late, whatever it is told. */
    | "stubborn";
  readonly ms: number;
  readonly failures: number;
  /** Dead weight, so that some messages are large. */
  readonly ballast?: string;
}

export interface PlannedTask {
  readonly taskId: string;
  readonly type: string;
  readonly input: WorkOrder;
  readonly priority: "critical" | "high" | "normal" | "low";
  readonly dependencies: readonly string[];
  readonly timeoutMs?: number;
  readonly scheduleToCloseMs?: number;
  readonly retry: { readonly maximumAttempts: number; readonly initialIntervalMs: number };
}

export interface TaskView {
  readonly taskId: string;
  readonly state: string;
  readonly attempt: number;
  readonly output?: unknown;
  readonly error?: { readonly type: string } | undefined;
  readonly endedAt?: number | undefined;
  readonly usage?: { readonly cost: number } | undefined;
}

/** What the work of one attempt gives; the token tells a stale one from the right one. */
export interface Output {
  readonly taskId: string;
  readonly attempt: number;
  readonly token: string;
}

/** "accepted", the code of the refusal, or "unanswered": then nobody knows, and it was asked again. */
export type Answer = string;

export type ClientRecord =
  | {
      readonly kind: "submitted";
      readonly askedAt: number;
      readonly answeredAt: number;
      readonly tasks: readonly PlannedTask[];
      readonly answer: Answer;
      /** Task ids of the answer. */
      readonly named: readonly string[];
      /** What must come of it. */
      readonly expected: "accepted" | "ID_CONFLICT" | "DEPENDENCY_CYCLE" | "DEPENDENCY_UNKNOWN";
    }
  | { readonly kind: "cancelled"; readonly askedAt: number; readonly taskId: string }
  /** `view` is null for NOT_FOUND. */
  | {
      readonly kind: "saw";
      readonly askedAt: number;
      readonly answeredAt: number;
      readonly taskId: string;
      readonly view: TaskView | null;
    }
  | { readonly kind: "heard"; readonly at: number; readonly eventType: string; readonly payload: EventPayload }
  /** Something that must not happen at all, in a sentence: a process that ended by itself, an unreadable answer. */
  | { readonly kind: "fault"; readonly at: number; readonly what: string };

export interface EventPayload {
  readonly taskId?: string;
  readonly agentId?: string;
  readonly attempt?: number;
  readonly code?: string;
}

export interface AgentRecord {
  readonly kind:
    | "began"
    /** A result was put together; from here on it is handed in until it is acknowledged. */
    | "finished"
    /** The stream of results has it. */
    | "acknowledged"
    /** Handed back without having been begun, or because the agent goes down in order: the attempt does not count. */
    | "released";
  readonly at: number;
  readonly agentId: string;
  /** Tells two processes under one id apart. */
  readonly process: string;
  readonly taskId: string;
  readonly attempt: number;
  readonly token: string;
  /** Of "finished". */
  readonly status?: "completed" | "failed" | "cancelled";
  /** Of "began": what it was given as outputs of its dependencies. */
  readonly dependencyResults?: Readonly<Record<string, unknown>>;
}

/** What a leader says of itself when all is done, on the wire like everything else. */
export interface Status {
  readonly leadingSince: number;
  readonly activeTaskCount: number;
  readonly queuedTaskCount: number;
  readonly waitingTaskCount: number;
  readonly backoffTaskCount: number;
  /** Since `leadingSince`. */
  readonly endedTaskCounts: Readonly<Record<string, number>>;
  /** Of the tasks that ended since. */
  readonly usage: { readonly cost: number };
  readonly agentStatuses: readonly { readonly agentId: string; readonly activeTaskCount: number }[];
}

export interface History {
  readonly clients: readonly ClientRecord[];
  readonly agents: readonly AgentRecord[];
  /** Of one leader or several, each asked when all work was done. */
  readonly statuses: readonly Status[];
}

export const endedStates: ReadonlySet<string> = new Set(["completed", "failed", "cancelled", "timed_out"]);
