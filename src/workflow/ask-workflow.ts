/** Children, and signals and cancellations to other runs. */
import type { CommandOf } from "../protocol/command.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { Execution } from "../replay/execution.js";
import { ask, given, msOf, type Settle } from "./ask.js";
import type { CancellationScope } from "./cancellation-scope.js";
import type { ChildHandle, ChildOptions, ExternalHandle } from "./context.js";
import type { AnyWorkflow } from "./definition.js";
import {
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  errorOf,
  TerminatedFailure,
  TimeoutFailure,
} from "./failures.js";
import { check } from "./standard-schema.js";

interface Started {
  readonly runId: string;
  readonly workflowId: string;
  readonly result: Promise<unknown>;
}

export async function startChild(
  execution: Execution,
  scope: CancellationScope,
  definition: AnyWorkflow | string,
  input: unknown,
  options: ChildOptions = {},
): Promise<ChildHandle<unknown>> {
  const { runId, workflowId, result } = await beginChild(execution, scope, definition, input, options);
  return { workflowId, runId, result: () => result, ...otherRun(execution, scope, workflowId, "child") };
}

export async function runChild(
  execution: Execution,
  scope: CancellationScope,
  definition: AnyWorkflow | string,
  input: unknown,
  options: ChildOptions = {},
): Promise<unknown> {
  return await (await beginChild(execution, scope, definition, input, options)).result;
}

/** Two questions under one number: whether it started, and how it ended. */
function beginChild(
  execution: Execution,
  scope: CancellationScope,
  definition: AnyWorkflow | string,
  input: unknown,
  options: ChildOptions,
): Promise<Started> {
  const workflowType = typeof definition === "string" ? definition : definition.name;
  const declared = typeof definition === "string" ? {} : definition.declared;
  const checked = check(declared.input, input);
  if (!checked.ok) {
    const message = `the input of child ${workflowType} is wrong: ${checked.message}`;
    return Promise.reject(new ApplicationFailure(message, { type: "INVALID_INPUT", nonRetryable: true }));
  }
  const type = options.cancellationType ?? "waitCancellationCompleted";
  let workflowId = "";
  let end: Settle<unknown> = { resolve: () => undefined, reject: () => undefined };
  const result = new Promise<unknown>((resolve, reject) => {
    end = { resolve, reject };
  });
  result.catch(() => undefined);
  const failed = (cause: Error): ChildWorkflowFailure =>
    new ChildWorkflowFailure(`child workflow ${workflowId} failed: ${cause.message}`, {
      workflowId,
      workflowType,
      cause,
    });
  let started: (() => void) | null = null;
  return new Promise<Started>((resolve, reject) => {
    const whole = ask<unknown>(execution, scope, {
      command: (seq) => {
        workflowId = options.workflowId ?? `${execution.runId}-${seq}`;
        return startCommand(seq, workflowId, workflowType, checked.value, options);
      },
      hear: (event, settle) => {
        if (event.type === "ChildWorkflowExecutionStarted") {
          started = () => undefined;
          resolve({ runId: event.runId, workflowId, result });
        } else hearChildEnd(event, settle, failed);
      },
      cancel: (_seq, reason, settle) => {
        if (type !== "abandon") {
          void requestCancel(execution, workflowId, "child").catch(() => undefined);
        }
        if (type === "abandon" || type === "tryCancel") settle.reject(failed(reason));
      },
    });
    whole.then(
      (output) => end.resolve(output),
      (reason: unknown) => {
        end.reject(reason);
        if (started === null) reject(reason as Error);
      },
    );
  });
}

function startCommand(
  seq: number,
  workflowId: string,
  workflowType: string,
  input: unknown,
  options: ChildOptions,
): CommandOf<"StartChildWorkflow"> {
  const {
    parentClosePolicy = "terminate",
    priority,
    runTimeout,
    executionTimeout,
    retry,
    memo,
    searchAttributes,
    idReusePolicy,
  } = options;
  return {
    type: "StartChildWorkflow",
    seq,
    workflowId: workflowId as CommandOf<"StartChildWorkflow">["workflowId"],
    workflowType,
    parentClosePolicy,
    input,
    ...given({
      priority,
      retry,
      idReusePolicy,
      memo: memo === undefined ? undefined : { ...memo },
      searchAttributes: searchAttributes === undefined ? undefined : { ...searchAttributes },
      runTimeoutMs: runTimeout === undefined ? undefined : msOf(runTimeout, "runTimeout"),
      executionTimeoutMs: executionTimeout === undefined ? undefined : msOf(executionTimeout, "executionTimeout"),
    }),
  };
}

function hearChildEnd(event: HistoryEvent, settle: Settle<unknown>, failed: (cause: Error) => Error): void {
  switch (event.type) {
    case "ChildWorkflowExecutionCompleted":
      settle.resolve(event.output);
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

export function otherRun(
  execution: Execution,
  scope: CancellationScope,
  workflowId: string,
  whose: "child" | "anybody's",
): ExternalHandle {
  return {
    signal: (signalName, input) =>
      ask<void>(execution, scope, {
        command: (seq) => ({
          type: "SignalExternalWorkflow",
          seq,
          workflowId: workflowId as never,
          signalName,
          input,
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
  const promise = new Promise<void>((resolve, reject) => {
    const seq = execution.ask(
      (asked) => ({
        type: "RequestCancelExternalWorkflow",
        seq: asked,
        workflowId: workflowId as never,
        childOnly: whose === "child",
      }),
      (event) => {
        execution.forget(seq);
        if (event.type === "RequestCancelExternalWorkflowExecutionFailed") reject(errorOf(event.failure));
        else resolve();
      },
    );
  });
  promise.catch(() => undefined);
  return promise;
}
