/** How a run begins: of a workflow that was submitted, of a child, of the next link of a chain. */
import type { NewHistoryEvent } from "../../protocol/history-event.js";
import type { RunId, WorkflowId } from "../../protocol/ids.js";
import type { RunRecord, RunSpec } from "../../protocol/run-record.js";
import type { TaskRecord } from "../../protocol/task-record.js";
import type { NamedValues } from "../../protocol/workflow-options.js";
import { WORKFLOW_TYPE_PREFIX } from "./member-specs.js";

export interface RunStart {
  readonly spec: RunSpec;
  readonly runId: RunId;
  readonly at: number;
  readonly input: unknown;
  readonly memo: NamedValues;
  readonly searchAttributes: NamedValues;
  readonly attempt: number;
  /** When its first activation may go out: of a delayed start, or of a retry. */
  readonly notBefore?: number;
  /** Of a child that its parent knows nothing of. */
  readonly abandoned?: boolean;
  /** Updates from before a reset that no run of the chain has decided on. */
  readonly admitted?: RunRecord["admitted"];
  /** What the chain has cost so far. */
  readonly usage?: RunRecord["usage"];
  readonly continuedFromRunId?: RunId;
  /** Signals that its history begins with: of a signal-with-start, or those that the run before it had not taken. */
  readonly signals?: readonly FirstSignal[] | undefined;
  readonly lastFailure?: Extract<NewHistoryEvent, { type: "WorkflowExecutionStarted" }>["lastFailure"];
}

interface FirstSignal {
  readonly signalName: string;
  /** Default: one that follows from the run and the signal's place. */
  readonly signalId?: string | undefined;
  readonly input?: unknown;
}

/** Of a workflow as it was submitted. */
export function firstSpec(workflow: TaskRecord, runId: RunId): RunSpec {
  const { spec } = workflow;
  const { run } = spec;
  return {
    workflowId: spec.taskId as WorkflowId,
    workflowType: spec.type.slice(WORKFLOW_TYPE_PREFIX.length),
    requiredCapabilities: spec.requiredCapabilities,
    priority: spec.priority,
    retry: run?.retry ?? null,
    runTimeoutMs: spec.timeoutMs ?? null,
    executionTimeoutMs: spec.scheduleToCloseMs ?? null,
    executionDeadlineAt: workflow.closeDeadlineAt,
    firstExecutionRunId: runId,
    parent: run?.parent ?? null,
    parentClosePolicy: run?.parentClosePolicy ?? null,
    metadata: spec.metadata ?? {},
    ...(spec.traceparent === undefined ? {} : { traceparent: spec.traceparent }),
  };
}

/** The record of a run before anything happened, and what happens first. */
export function newRun(start: RunStart): { readonly record: RunRecord; readonly first: readonly NewHistoryEvent[] } {
  const { spec, runId, at, attempt, notBefore } = start;
  // What its first event says is taken from there: it need not stand in the journal twice.
  const { input: _, resets: __, ...handedOn } = spec;
  const record: RunRecord = {
    spec: { ...handedOn, metadata: {} },
    runId,
    state: "running",
    attempt,
    startedAt: at,
    notBefore: notBefore ?? null,
    runDeadlineAt: spec.runTimeoutMs === null ? null : (notBefore ?? at) + spec.runTimeoutMs,
    lastEventId: 0,
    lastSeq: 0,
    memo: {},
    searchAttributes: {},
    cancelRequested: false,
    activities: {},
    timers: {},
    steps: {},
    children: {},
    externals: {},
    outstanding: {},
    updates: {},
    admitted: start.admitted ?? {},
    signalIds: {},
    signalCount: 0,
    buffered: [],
    answered: null,
    stuck: null,
    closing: false,
    abandoned: start.abandoned ?? false,
    usage: start.usage ?? null,
    closedAt: null,
  };
  return { record, first: [startedEvent(start), ...firstSignals(start)] };
}

/** Whether all that is in the history of the first run of a chain is what came in: its code has not answered yet. */
export function answeredNothing({ runId, spec, lastEventId, signalCount, cancelRequested }: RunRecord): boolean {
  const cameIn = 1 + signalCount + (cancelRequested ? 1 : 0);
  return runId === spec.firstExecutionRunId && lastEventId === cameIn;
}

function firstSignals({ runId, at, signals = [] }: RunStart): NewHistoryEvent[] {
  return signals.map(({ signalName, signalId, input }, index) => ({
    type: "WorkflowExecutionSignaled",
    at,
    signalName,
    signalId: signalId ?? `${runId}-${index + 1}`,
    input,
  }));
}

function startedEvent(start: RunStart): NewHistoryEvent {
  const { spec, at, input, attempt, continuedFromRunId, lastFailure } = start;
  const { runTimeoutMs, executionTimeoutMs, executionDeadlineAt, parent, retry, resets } = spec;
  return {
    type: "WorkflowExecutionStarted",
    at,
    workflowId: spec.workflowId,
    runId: start.runId,
    workflowType: spec.workflowType,
    input,
    firstExecutionRunId: spec.firstExecutionRunId,
    attempt,
    priority: spec.priority,
    memo: start.memo,
    searchAttributes: start.searchAttributes,
    metadata: spec.metadata,
    ...(continuedFromRunId === undefined ? {} : { continuedFromRunId }),
    ...(lastFailure === undefined ? {} : { lastFailure }),
    ...(parent === null ? {} : { parent }),
    ...(runTimeoutMs === null ? {} : { runTimeoutMs }),
    ...(executionTimeoutMs === null ? {} : { executionTimeoutMs }),
    ...(executionDeadlineAt === null ? {} : { executionDeadlineAt }),
    ...(retry === null ? {} : { retry }),
    ...(resets === undefined ? {} : { resets }),
  };
}
