/** Recorded histories against today's code: whether a deployment may go on with runs that are under way. */
import { z } from "zod";
import { PerdureError } from "../errors.js";
import { silentLogger } from "../logger.js";
import { HistoryEvent } from "../protocol/history-event.js";
import { installSandbox } from "../worker/sandbox.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import { WorkflowRun } from "../workflow/workflow-run.js";

export interface ReplayOptions {
  readonly workflows: readonly AnyWorkflow[];
  /** All of one run: what `handle.history()` gives, or JSON of it. */
  readonly history: readonly unknown[];
}

/** `error`: a NondeterminismError that names both sides, or what else the code cannot go on from. */
export type ReplayOutcome = { readonly ok: true } | { readonly ok: false; readonly error: Error };

/**
 * Repeats every turn that the history has. Nothing is asked of anybody: no task, no step, no message.
 * @throws PerdureError USAGE for what is no whole history, or one of a workflow that is not among `workflows`
 */
export async function replay({ workflows, history }: ReplayOptions): Promise<ReplayOutcome> {
  installSandbox();
  const events = eventsOf(history);
  const [started] = events;
  if (started?.type !== "WorkflowExecutionStarted") {
    throw new PerdureError("USAGE", "a history begins with WorkflowExecutionStarted; this one does not");
  }
  const gap = events.findIndex(({ eventId }, index) => eventId !== index + 1);
  if (gap !== -1) throw new PerdureError("USAGE", `the history has no event ${gap + 1}; give all of it, in order`);
  const { workflowId, runId, workflowType } = started;
  const definition = workflows.find(({ name }) => name === workflowType);
  if (definition === undefined) {
    const known = workflows.map(({ name }) => name).join(", ");
    throw new PerdureError("USAGE", `the history is of workflow "${workflowType}", which is not among: ${known}`);
  }
  const onWarning = (): void => undefined;
  const { execution } = new WorkflowRun({ workflowId, runId, definition, logger: silentLogger, onWarning });
  try {
    await execution.replay(events);
    return { ok: true };
  } catch (thrown) {
    return { ok: false, error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
  }
}

function eventsOf(history: readonly unknown[]): readonly HistoryEvent[] {
  const parsed = z.array(HistoryEvent).safeParse(history);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PerdureError("USAGE", `this is no history: event ${issue?.path.join(".")}: ${issue?.message}`);
}
