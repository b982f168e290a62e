/** Children, and signals and cancellations to other runs. */
import type { CommandOf } from "../protocol/command.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { Execution } from "../replay/execution.js";
import { ask, given, msOf, nameOf, type Settle, unwatched, workflowIdOf, wrongInput } from "./ask.js";
import type { CancellationScope } from "./cancellation-scope.js";
import type { ChildHandle, ChildOptions, ExternalHandle } from "./context.js";
import type { AnyWorkflow, WorkflowDeclaration } from "./definition.js";
import { CancelledFailure, ChildWorkflowFailure, errorOf, TerminatedFailure, TimeoutFailure } from "./failures.js";
import { jsonCopy, namedCopy } from "./json-copy.js";
import { check, readOutput, type Schema } from "./standard-schema.js";

/** Who asks: in which run, and in which scope it is each time it does. */
export interface Asker {
  readonly execution: Execution;
  readonly scope: () => CancellationScope;
}

interface StartedChild {
  readonly runId: string;
  readonly workflowId: string;
  readonly result: Promise<unknown>;
}

export function startChild(
  asker: Asker,
  definition: AnyWorkflow | string,
  input: unknown,
  options: ChildOptions = {},
): Promise<ChildHandle<unknown>> {
  const started = beginChild(asker, definition, input, options).then(({ runId, workflowId, result }) => ({
    ...otherRun(asker, workflowId, "child"),
    runId,
    result: () => result,
  }));
  return unwatched(started);
}

export function runChild(
  asker: Asker,
  definition: AnyWorkflow | string,
  input: unknown,
  options: ChildOptions = {},
): Promise<unknown> {
  return unwatched(beginChild(asker, definition, input, options).then(({ result }) => result));
}

/** Two questions under one number: whether it started, and how it ended. */
function beginChild(
  asker: Asker,
  definition: AnyWorkflow | string,
  input: unknown,
  options: ChildOptions,
): Promise<StartedChild> {
  const { execution } = asker;
  const workflowType = typeof definition === "string" ? definition : definition.name;
  const declared: WorkflowDeclaration = typeof definition === "string" ? {} : definition.declared;
  const checked = check(declared.input, input);
  if (!checked.ok) return Promise.reject(wrongInput(`the input of child ${workflowType} is wrong: ${checked.message}`));
  const type = options.cancellationType ?? "waitCancellationCompleted";
  let workflowId = options.workflowId ?? "";
  const failed = (cause: Error): ChildWorkflowFailure =>
    new ChildWorkflowFailure(`child workflow ${workflowId} failed: ${cause.message}`, {
      workflowId,
      workflowType,
      cause,
    });
  return new Promise<StartedChild>((resolve, reject) => {
    const result = ask<unknown>(execution, asker.scope(), {
      command: (seq) => {
        workflowId = workflowIdOf(options.workflowId ?? `${execution.runId}-${seq}`);
        const copied = jsonCopy(checked.value, `the input of child ${workflowType}`);
        return startCommand(seq, workflowId, workflowType, copied, options);
      },
      hear: (event, settle) => {
        if (event.type === "ChildWorkflowExecutionStarted") resolve({ runId: event.runId, workflowId, result });
        else hearChildEnd(event, declared.output, settle, failed);
      },
      cancel: (_seq, reason, settle) => {
        const giveUp = (): void => settle.reject(failed(reason));
        // Where the child has ended already, its end is on its way and says more.
        if (type !== "abandon") {
          const requested = requestCancel(execution, workflowId, "child");
          if (type === "waitCancellationRequested") requested.then(giveUp, () => undefined);
        }
        if (type === "abandon" || type === "tryCancel") giveUp();
      },
    });
    // Has no effect once it has started.
    result.catch(reject);
  });
}

function startCommand(
  seq: number,
  workflowId: string,
  workflowType: string,
  input: unknown,
  options: ChildOptions,
): CommandOf<"StartChildWorkflow"> {
  const { priority, runTimeout, executionTimeout, retry, memo, searchAttributes, idReusePolicy } = options;
  return {
    type: "StartChildWorkflow",
    seq,
    workflowId: workflowIdOf(workflowId),
    workflowType: nameOf(workflowType, "the type of a child"),
    parentClosePolicy: options.parentClosePolicy ?? "terminate",
    input,
    ...given({
      priority,
      retry,
      idReusePolicy,
      memo: namedCopy(memo, "the memo of a child"),
      searchAttributes: namedCopy(searchAttributes, "the search attributes of a child"),
      runTimeoutMs: runTimeout === undefined ? undefined : msOf(runTimeout, "runTimeout"),
      executionTimeoutMs: executionTimeout === undefined ? undefined : msOf(executionTimeout, "executionTimeout"),
    }),
  };
}

function hearChildEnd(
  event: HistoryEvent,
  output: Schema | undefined,
  settle: Settle<unknown>,
  failed: (cause: Error) => Error,
): void {
  switch (event.type) {
    case "ChildWorkflowExecutionCompleted":
      settle.resolve(readOutput(output, event.output));
      return;
    case "ChildWorkflowExecutionFailed":
    case "StartChildWorkflowExecutionFailed":
      settle.reject(failed(errorOf(event.failure)));
      return;
    case "ChildWorkflowExecutionCanceled":
      settle.reject(failed(new CancelledFailure("the child was cancelled")));
      return;
    case "ChildWorkflowExecutionTerminated":
      settle.reject(failed(new TerminatedFailure(event.reason)));
      return;
    case "ChildWorkflowExecutionTimedOut":
      settle.reject(failed(new TimeoutFailure("the child timed out", "workflow")));
      return;
    default:
      return;
  }
}

export function otherRun({ execution, scope }: Asker, id: string, whose: "child" | "anybody's"): ExternalHandle {
  const workflowId = workflowIdOf(id);
  return {
    workflowId,
    signal: (signalName, input) =>
      ask<void>(execution, scope(), {
        command: (seq) => ({
          type: "SignalExternalWorkflow",
          seq,
          workflowId,
          signalName: nameOf(signalName, "the name of a signal"),
          input: jsonCopy(input, `the input of signal ${signalName}`),
          childOnly: whose === "child",
        }),
        hear: (event, settle) => {
          if (event.type === "ExternalWorkflowExecutionSignaled") settle.resolve();
          if (event.type === "SignalExternalWorkflowExecutionFailed") settle.reject(errorOf(event.failure));
        },
        cancel: (_seq, reason, settle) => settle.reject(reason),
      }),
    cancel: () => requestCancel(execution, workflowId, whose),
  };
}

/** Asked for also from a scope that is cancelled: that is what it is for. */
function requestCancel(execution: Execution, workflowId: string, whose: "child" | "anybody's"): Promise<void> {
  return unwatched(
    new Promise<void>((resolve, reject) => {
      const seq = execution.ask(
        (asked) => ({
          type: "RequestCancelExternalWorkflow",
          seq: asked,
          workflowId: workflowIdOf(workflowId),
          childOnly: whose === "child",
        }),
        (event) => {
          execution.forget(seq);
          if (event.type === "RequestCancelExternalWorkflowExecutionFailed") reject(errorOf(event.failure));
          else resolve();
        },
      );
    }),
  );
}
