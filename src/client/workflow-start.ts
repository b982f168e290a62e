/** What the start of a workflow is as a submission. */
import { PerdureError } from "../errors.js";
import type { RetryPolicyInput } from "../protocol/retry-policy.js";
import { type Duration, durationMs } from "../protocol/time.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import { check, type Schema } from "../workflow/standard-schema.js";
import type { NewTask } from "./submission.js";

export interface StartOptions {
  /** The same id with the same input is the same workflow, however often started. Default: a random one. */
  readonly workflowId?: string;
  /** Tasks or workflows that must complete first. */
  readonly dependencies?: readonly string[];
  readonly priority?: NewTask["priority"];
  /** Of the whole chain of runs. */
  readonly executionTimeout?: Duration;
  readonly runTimeout?: Duration;
  /** From the start to the first look at its code; counts for `executionTimeout`, not for `runTimeout`. */
  readonly startDelay?: Duration;
  /** Of a failed run. Default: none. */
  readonly retry?: RetryPolicyInput;
  readonly memo?: Readonly<Record<string, unknown>>;
  readonly searchAttributes?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** May the id be used again once its workflow has closed? Default: it names that one as long as it is kept. */
  readonly idReusePolicy?: "allowDuplicate" | "allowDuplicateFailedOnly" | "rejectDuplicate";
  /** What happens where the id's workflow is open. Default: with the same input it is the same start, else refused. */
  readonly idConflictPolicy?: "fail" | "useExisting" | "terminateExisting";
  /** Signal-with-start: in the history right behind the start, or sent to the run that is open already. */
  readonly signal?: { readonly name: string; readonly input?: unknown; readonly signalId?: string };
}

/** The submission that starts a workflow. @throws PerdureError INVALID_MESSAGE where the input does not fit its schema */
export function startOf(definition: AnyWorkflow | string, input: unknown, options: StartOptions): NewTask {
  const name = typeof definition === "string" ? definition : definition.name;
  const given = checked(
    typeof definition === "string" ? undefined : definition.declared.input,
    input,
    `the input of workflow ${name}`,
  );
  const { workflowId, executionTimeout, runTimeout, startDelay, ...rest } = options;
  const task: Record<string, unknown> = { ...rest, type: `workflow:${name}`, input: given };
  if (workflowId !== undefined) task["taskId"] = workflowId;
  if (executionTimeout !== undefined) task["scheduleToCloseMs"] = msOf(executionTimeout, "executionTimeout");
  if (runTimeout !== undefined) task["timeoutMs"] = msOf(runTimeout, "runTimeout");
  if (startDelay !== undefined) task["startDelayMs"] = msOf(startDelay, "startDelay");
  return task as unknown as NewTask;
}

export function checked(schema: Schema | undefined, value: unknown, what: string): unknown {
  const result = check(schema, value);
  if (result.ok) return result.value;
  throw new PerdureError("INVALID_MESSAGE", `${what} is wrong and was not sent: ${result.message}`);
}

function msOf(duration: Duration, what: string): number {
  const ms = durationMs(duration);
  if (ms !== null && ms >= 1) return ms;
  throw new PerdureError("INVALID_MESSAGE", `${what} is no length of time: ${JSON.stringify(duration)}`);
}
