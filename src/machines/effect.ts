import type { Failure } from "../protocol/failure.js";
import type { ParentRun } from "../protocol/history-event.js";
import type { AgentId, TaskId } from "../protocol/ids.js";
import type { SystemEventType } from "../protocol/system-message.js";

/**
 * Everything the core may ask of the outside, as plain data. An effect is let go only after the facts it follows
 * from are on disk, and each is safe to repeat: after a crash the outstanding ones are derived from state again.
 */
export type Effect =
  /** Send a task's current attempt to its agent. Repeating it is harmless: the agent knows the token. */
  | { readonly kind: "dispatchTask"; readonly taskId: TaskId; readonly token: string }
  /** Tell an agent to stop an attempt. */
  | {
      readonly kind: "cancelAttempt";
      readonly taskId: TaskId;
      readonly agentId: AgentId;
      readonly attempt: number;
      readonly token: string;
    }
  /** Tell an agent that it is registered, must register again, or was replaced by a newer process. */
  | {
      readonly kind: "orderAgent";
      readonly agentId: AgentId;
      readonly state: "registered" | "superseded" | "reregister";
      readonly incarnation: number;
    }
  /** Answer the clients that wait for a task to end. */
  | { readonly kind: "answerWaiters"; readonly taskId: TaskId }
  /** Answer the query or update that was asked under this id: with its outcome, or why there is none. */
  | { readonly kind: "answerAsked"; readonly askedId: string; readonly outcome: AskedOutcome }
  /** Look whether a workflow that ended and has left memory has the id of a child; the core is told by `lookedUp`. */
  | { readonly kind: "lookUpEnded"; readonly taskId: TaskId; readonly parent: ParentRun }
  /** Tell everybody. */
  | { readonly kind: "broadcastEvent"; readonly eventType: SystemEventType; readonly payload: Record<string, unknown> };

/** What became of a query or an update. */
export type AskedOutcome =
  | { readonly state: "accepted" }
  | { readonly state: "completed"; readonly output: unknown }
  | { readonly state: "failed"; readonly failure: Failure }
  | { readonly state: "rejected"; readonly failure: Failure }
  /** The run closed, or continued as another one, before it could be answered. */
  | { readonly state: "runClosed"; readonly message: string };

export type EffectKind = Effect["kind"];
