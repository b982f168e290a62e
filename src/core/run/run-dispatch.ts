/** What the worker of an activation or of a step is sent, and which worker that should be. */
import type { Activation, StepAssignment, UpdateRequest } from "../../protocol/activation.js";
import type { AgentId } from "../../protocol/ids.js";
import { jsonBytes } from "../../protocol/json-bytes.js";
import { FLUSH_BYTES_MAX, HISTORY_EVENTS_WARNING } from "../../protocol/limits.js";
import type { TaskRecord } from "../../protocol/task-record.js";
import { isClosed, type OpenRun, type RunBook } from "./run-book.js";
import type { RunInbox } from "./run-inbox.js";

export class RunDispatch {
  readonly #runs: RunBook;
  readonly #inbox: RunInbox;

  constructor(runs: RunBook, inbox: RunInbox) {
    this.#runs = runs;
    this.#inbox = inbox;
  }

  /** The worker that has the run in its memory. */
  stickyAgentOf(task: TaskRecord): AgentId | undefined {
    // Whoever was given it and did not answer is not asked first again.
    return task.failure === null ? this.runOf(task)?.record.answered?.agentId : undefined;
  }

  /** What the worker of an activation is sent; null where it is no longer under way. */
  activationOf(task: TaskRecord): Activation | null {
    const run = this.runOf(task);
    if (run === undefined || task.assignedAt === null) return null;
    const { record, tail } = run;
    const { workflowId, workflowType } = record.spec;
    const { answered, lastEventId } = record;
    const asked = this.#inbox.askedOf(record.runId);
    // After a change of leaders, memory may not have what the worker has not seen.
    const reaches = answered !== null && (tail[0]?.eventId ?? lastEventId + 1) <= answered.eventId + 1;
    const sticky = answered !== null && reaches && answered.agentId === task.agentId;
    const events = sticky ? tail.filter((event) => event.eventId > answered.eventId) : wholeHistory(tail);
    return {
      workflowId,
      runId: record.runId,
      workflowType,
      startedAt: task.assignedAt,
      previousToken: sticky ? answered.token : null,
      lastEventId,
      from: sticky ? "previous" : "start",
      events,
      updates: fitting(asked.updates),
      queries: [...asked.queries],
      queriesOnly: isClosed(record) || (answered?.eventId === lastEventId && asked.updates.length === 0),
      continueAsNewSuggested: lastEventId >= HISTORY_EVENTS_WARNING,
    };
  }

  /** What the worker of a step is sent. */
  stepOf(task: TaskRecord): StepAssignment | null {
    const run = this.runOf(task);
    const seq = task.spec.role?.seq;
    const name = seq === undefined ? undefined : run?.record.steps[seq];
    if (run === undefined || seq === undefined || name === undefined) return null;
    const { spec, runId, lastEventId } = run.record;
    const { workflowId, workflowType } = spec;
    return { workflowId, runId, workflowType, seq, name, lastEventId };
  }

  /** The run that a task belongs to. */
  runOf(task: TaskRecord): OpenRun | undefined {
    const { role } = task.spec;
    if (role === undefined) return undefined;
    const run = this.#runs.of(role.workflowId);
    return run?.record.runId === role.runId ? run : undefined;
  }
}

/** Of the updates that travel with one activation, and with their acceptance stand in one flush; the others come next. */
const UPDATES_BYTES_MAX = FLUSH_BYTES_MAX / 2;

function fitting(updates: readonly UpdateRequest[]): UpdateRequest[] {
  let bytes = 0;
  const end = updates.findIndex((update, index) => {
    bytes += jsonBytes(update);
    return index > 0 && bytes > UPDATES_BYTES_MAX;
  });
  return updates.slice(0, end === -1 ? updates.length : end);
}

function wholeHistory(tail: OpenRun["tail"]): OpenRun["tail"] {
  return tail[0]?.eventId === 1 ? tail : [];
}
