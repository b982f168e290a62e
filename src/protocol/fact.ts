import { z } from "zod";
import { AgentRecord } from "./agent-record.js";
import { HistoryEvent } from "./history-event.js";
import { AgentId, RunId, TaskId, WorkflowId } from "./ids.js";
import { BufferedEvent, RunChange, RunRecord } from "./run-record.js";
import { TaskRecord, TaskSpec } from "./task-record.js";

/**
 * What the journal records. A fact is a name for people and the fields it changed for the machine: replaying it
 * sets those fields and decides nothing, so an upgrade may change how a choice is made, never what was chosen.
 */
export const taskFactTypes = [
  "TaskReady",
  "TaskAssigned",
  "TaskAccepted",
  "TaskResent",
  "TaskProgressed",
  "TaskReleased",
  "TaskAttemptFailed",
  "TaskCancelRequested",
  "TaskCompleted",
  "TaskFailed",
  "TaskCancelled",
  "TaskTimedOut",
  "TaskTerminated",
  "TaskOpened",
  "TaskBegun",
] as const;

export const agentFactTypes = [
  "AgentRegistered",
  "AgentUnhealthy",
  "AgentRecovered",
  "AgentDraining",
  "AgentLost",
  "AgentGone",
] as const;

const at = z.int();

/** What a fact leaves out it does not change: the defaults that older records need have no place here. */
const TaskFields = TaskRecord.omit({ spec: true, submittedAt: true, order: true })
  .partial()
  .extend({ heartbeatDeadlineAt: z.int().nullable().optional(), lastRunId: TaskId.nullable().optional() });

export const Fact = z.discriminatedUnion("type", [
  /** `state` is where it starts: `waiting` for dependencies, or `queued`. */
  z.object({
    type: z.literal("TaskSubmitted"),
    at,
    spec: TaskSpec,
    order: z.int(),
    state: z.enum(["waiting", "queued", "open"]),
  }),
  /** An ended task taken back among the live ones, because a new task depends on it. */
  z.object({ type: z.literal("TaskRetained"), at, task: TaskRecord }),
  z.object({
    type: z.enum(taskFactTypes),
    at,
    taskId: TaskId,
    set: TaskFields,
  }),
  /** A task of the engine's own (an activation, a step) that is over: nothing of it is kept. */
  z.object({ type: z.literal("TaskDropped"), at, taskId: TaskId }),
  /** A run as it begins; its first events follow in a `RunAdvanced`. */
  z.object({ type: z.literal("RunStarted"), at, run: RunRecord }),
  z.object({
    type: z.literal("RunAdvanced"),
    at,
    workflowId: WorkflowId,
    runId: RunId,
    /** New events, which say what changed. */
    events: z.array(HistoryEvent),
    /** What came in while an activation was out: goes to the end of the buffer. */
    buffer: BufferedEvent.optional(),
    /**
     * What was in the buffer and has its place now, behind `events`: by its position there, in the order of the history.
     * What is not named is dropped, and the buffer is empty.
     */
    placed: z.array(z.int()).optional(),
    /** What surrounds the events. */
    set: RunChange,
  }),
  /** An agent id seen for the first time, or for the first time since it was lost or left. */
  z.object({ type: z.literal("AgentAdded"), at, agent: AgentRecord }),
  z.object({ type: z.enum(agentFactTypes), at, agentId: AgentId, set: AgentRecord.omit({ agentId: true }).partial() }),
]);
export type Fact = z.infer<typeof Fact>;
export type RunFact = Extract<Fact, { type: "RunStarted" | "RunAdvanced" }>;
export type TaskFactType = (typeof taskFactTypes)[number];
export type AgentFactType = (typeof agentFactTypes)[number];

/**
 * A result by its place in the results stream and its time there (nanoseconds since 1970, in digits): that stream may
 * forget its end when its server is killed and give a sequence a second time.
 */
export const ResultsPosition = z.object({ sequence: z.int(), storedAt: z.string() });
export type ResultsPosition = z.infer<typeof ResultsPosition>;

/** One journal message: everything that happened since the last one, complete. */
export const Flush = z.object({
  /** Tells a retried flush from somebody else's at the same sequence. */
  flushId: z.string(),
  /** The last result that is contained in the facts so far; null while there was none. */
  lastResult: ResultsPosition.nullable(),
  facts: z.array(Fact),
});
export type Flush = z.infer<typeof Flush>;

/** Up to where the buckets hold what the journal says; written only after everything before it was acknowledged. */
export const Checkpoint = z.object({
  journalSequence: z.int(),
  /** Where the journal ended then: a journal that is found to end before has lost what it acknowledged. */
  highWaterMark: z.int(),
  lastResult: ResultsPosition.nullable(),
  /** The next free `order` of a task. */
  nextOrder: z.int(),
  /**
   * Records in the bucket of live tasks that stand before this flush are remains of deleted ones, which the server may bring
   * back when it is killed.
   */
  liveFrom: z.int().default(0),
  /** When it was written, epoch milliseconds. */
  at: z.int(),
});
export type Checkpoint = z.infer<typeof Checkpoint>;
