/** Tasks for agents, and steps in the worker. */
import type { Command } from "../protocol/command.js";
import type { HistoryEvent, RetryState } from "../protocol/history-event.js";
import type { Execution } from "../replay/execution.js";
import { ask, given, msOf, nameOf, type Settle, unwatched, wrongInput } from "./ask.js";
import type { CancellationScope } from "./cancellation-scope.js";
import type { StepContext, StepOptions } from "./context.js";
import type { TaskDefinition, TaskOptions } from "./definition.js";
import { ActivityFailure, CancelledFailure, errorOf } from "./failures.js";
import { jsonCopy, namedCopy } from "./json-copy.js";
import { check, readOutput, type Schema } from "./standard-schema.js";

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
  if (!checked.ok)
    return unwatched(Promise.reject(wrongInput(`the input of task ${name} is wrong: ${checked.message}`)));
  const cancellationType = options.cancellationType ?? "waitCancellationCompleted";
  return ask<unknown>(execution, scope, {
    command: (seq) => scheduleTask(seq, name, jsonCopy(checked.value, `the input of task ${name}`), options),
    hear: (event, settle) => {
      if (event.type !== "ActivityTaskCompleted") {
        hearEnd(event, name, settle);
        return;
      }
      const result = check(output, readOutput(output, event.output));
      if (result.ok) settle.resolve(result.value);
      else {
        const cause = wrongInput(`the output of task ${name} is wrong: ${result.message}`);
        settle.reject(activityFailure(name, "nonRetryableFailure", cause));
      }
    },
    cancel: (seq, reason, settle) => {
      if (cancellationType !== "abandon") execution.tell({ type: "RequestCancelActivityTask", seq });
      if (cancellationType !== "waitCancellationCompleted") {
        settle.reject(activityFailure(name, "cancelRequested", reason));
      }
    },
  });
}

function scheduleTask(seq: number, activityType: string, input: unknown, options: TaskOptions): Command {
  const { priority, needs, preferredAgentId, retry, timeouts = {}, heartbeat, metadata } = options;
  const { startToClose, scheduleToClose, scheduleToStart } = timeouts;
  return {
    type: "ScheduleActivityTask",
    seq,
    activityType: nameOf(activityType, "the name of a task"),
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
      metadata: namedCopy(metadata, "the metadata of a task"),
    }),
  };
}

function hearEnd(event: HistoryEvent, name: string, settle: Settle<unknown>): void {
  switch (event.type) {
    case "ActivityTaskFailed":
    case "ActivityTaskTimedOut":
    case "StepFailed":
      settle.reject(activityFailure(name, event.retryState, errorOf(event.failure)));
      return;
    case "ActivityTaskCanceled":
      settle.reject(activityFailure(name, "cancelRequested", new CancelledFailure(`task ${name} was cancelled`)));
      return;
    default:
      return;
  }
}

function activityFailure(activityType: string, retryState: RetryState, cause: Error): ActivityFailure {
  return new ActivityFailure(`${activityType} failed: ${cause.message}`, { activityType, retryState, cause });
}

/** A step of a run, for the worker to do. */
export interface StepCode {
  readonly name: string;
  readonly code: (step: StepContext) => unknown;
  /** Whether its first attempt may begin before it is recorded: attempts are not counted. */
  readonly begin: "at once" | "when assigned";
}

export function askStep<T>(
  execution: Execution,
  scope: CancellationScope,
  steps: Map<number, StepCode>,
  name: string,
  code: (step: StepContext) => T | Promise<T>,
  { retry, startToClose }: StepOptions = {},
): Promise<T> {
  const begin = retry?.maximumAttempts === undefined || retry.maximumAttempts === 0 ? "at once" : "when assigned";
  return ask<T>(execution, scope, {
    command: (seq) => {
      const startToCloseMs = startToClose === undefined ? undefined : msOf(startToClose, "startToClose");
      const options = given({ startToCloseMs, retry });
      const command = { type: "ScheduleStep" as const, seq, name: nameOf(name, "the name of a step"), ...options };
      steps.set(seq, { name, code, begin });
      return command;
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
      settle.reject(activityFailure(name, "cancelRequested", reason));
    },
  });
}
