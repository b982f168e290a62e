/** Tasks for agents, and steps in the worker. */
import type { Command } from "../protocol/command.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { Execution } from "../replay/execution.js";
import { ask, given, msOf, type Settle } from "./ask.js";
import type { CancellationScope } from "./cancellation-scope.js";
import type { StepContext, StepOptions } from "./context.js";
import type { TaskDefinition, TaskOptions } from "./definition.js";
import { ActivityFailure, ApplicationFailure, CancelledFailure, errorOf } from "./failures.js";
import { check, type Schema } from "./standard-schema.js";

export function askTask(
  execution: Execution,
  scope: CancellationScope,
  definition: TaskDefinition<Schema | undefined, Schema | undefined>,
  input: unknown,
  over: TaskOptions = {},
): Promise<unknown> {
  const { name, output } = definition;
  const options: TaskOptions = {
    ...definition.options,
    ...over,
    timeouts: { ...definition.options.timeouts, ...over.timeouts },
  };
  const checked = check(definition.input, input);
  if (!checked.ok) return Promise.reject(wrong(`the input of task ${name} is wrong: ${checked.message}`));
  const cancellationType = options.cancellationType ?? "waitCancellationCompleted";
  const cancelled = () =>
    activityFailure(name, null, "cancelRequested", new CancelledFailure(`task ${name} was cancelled`));
  return ask<unknown>(execution, scope, {
    command: (seq) => scheduleTask(seq, name, checked.value, options),
    hear: (event, settle) => {
      if (event.type === "ActivityTaskCompleted") {
        const result = check(output, event.output);
        if (result.ok) settle.resolve(result.value);
        else
          settle.reject(
            activityFailure(
              name,
              null,
              "nonRetryableFailure",
              wrong(`the output of task ${name} is wrong: ${result.message}`),
            ),
          );
      } else hearEnd(event, name, settle);
    },
    cancel: (seq, _reason, settle) => {
      if (cancellationType !== "abandon") execution.tell({ type: "RequestCancelActivityTask", seq });
      if (cancellationType !== "waitCancellationCompleted") settle.reject(cancelled());
    },
  });
}

function scheduleTask(seq: number, activityType: string, input: unknown, options: TaskOptions): Command {
  const { priority, needs, preferredAgentId, retry, timeouts = {}, heartbeat, metadata } = options;
  const { startToClose, scheduleToClose, scheduleToStart } = timeouts;
  return {
    type: "ScheduleActivityTask",
    seq,
    activityType,
    input,
    ...given({
      priority,
      requiredCapabilities: needs === undefined ? undefined : [...needs],
      preferredAgentId: preferredAgentId as never,
      retry,
      startToCloseMs: startToClose === undefined ? undefined : msOf(startToClose, "timeouts.startToClose"),
      scheduleToCloseMs: scheduleToClose === undefined ? undefined : msOf(scheduleToClose, "timeouts.scheduleToClose"),
      scheduleToStartMs: scheduleToStart === undefined ? undefined : msOf(scheduleToStart, "timeouts.scheduleToStart"),
      heartbeatTimeoutMs: heartbeat === undefined ? undefined : msOf(heartbeat, "heartbeat"),
      metadata: metadata === undefined ? undefined : { ...metadata },
    }),
  };
}

function hearEnd(event: HistoryEvent, name: string, settle: Settle<unknown>): void {
  switch (event.type) {
    case "ActivityTaskFailed":
    case "ActivityTaskTimedOut":
    case "StepFailed":
      settle.reject(activityFailure(name, null, event.retryState, errorOf(event.failure)));
      return;
    case "ActivityTaskCanceled":
      settle.reject(activityFailure(name, null, "cancelRequested", new CancelledFailure(`task ${name} was cancelled`)));
      return;
    default:
      return;
  }
}

function activityFailure(
  activityType: string,
  taskId: string | null,
  retryState: string,
  cause: Error,
): ActivityFailure {
  return new ActivityFailure(`${activityType} failed: ${cause.message}`, { activityType, taskId, retryState, cause });
}

function wrong(message: string): ApplicationFailure {
  return new ApplicationFailure(message, { type: "INVALID_INPUT", nonRetryable: true });
}

/** A step of a run, for the worker to do. */
export interface StepCode {
  readonly name: string;
  readonly code: (step: StepContext) => unknown;
  /** Whether its first attempt may begin before it is recorded: attempts are not counted. */
  readonly begin: "at once" | "when assigned";
  readonly startToCloseMs: number | undefined;
  readonly retry: StepOptions["retry"];
}

export function askStep<T>(
  execution: Execution,
  scope: CancellationScope,
  steps: Map<number, StepCode>,
  name: string,
  code: (step: StepContext) => T | Promise<T>,
  { retry, startToClose }: StepOptions = {},
): Promise<T> {
  const startToCloseMs = startToClose === undefined ? undefined : msOf(startToClose, "startToClose");
  const begin = retry?.maximumAttempts === undefined || retry.maximumAttempts === 0 ? "at once" : "when assigned";
  return ask<T>(execution, scope, {
    command: (seq) => {
      steps.set(seq, { name, code, begin, startToCloseMs, retry });
      return { type: "ScheduleStep", seq, name, ...given({ startToCloseMs, retry }) };
    },
    hear: (event, settle) => {
      if (event.type === "StepCompleted") {
        steps.delete(event.seq);
        settle.resolve(event.output as T);
      } else if (event.type === "StepFailed") {
        steps.delete(event.seq);
        hearEnd(event, name, settle as Settle<unknown>);
      }
    },
    cancel: (seq, reason, settle) => {
      steps.delete(seq);
      execution.tell({ type: "CancelStep", seq });
      settle.reject(activityFailure(name, null, "cancelRequested", reason));
    },
  });
}
