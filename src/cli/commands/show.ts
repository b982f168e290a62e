/** `perdure show`: everything about one task or workflow. */
import type { Command } from "commander";
import type { Failure } from "../../protocol/failure.js";
import type { TaskView } from "../../protocol/task-message.js";
import { taskChangeKey } from "../change-key.js";
import { type Labelled, labelLines } from "../label-lines.js";
import { priorityPaint, taskStatePaint } from "../state-paint.js";
import type { Style } from "../style.js";
import { oneLine, printableLines } from "../terminal-text.js";
import { durationText, instantText } from "../time-text.js";
import { runVerb } from "../verb.js";
import { present, type View, type ViewOptions } from "../view.js";
import { withViewOptions } from "./view-options.js";

export function addShow(program: Command): void {
  const command = program
    .command("show")
    .description("show everything about a task or a workflow")
    .argument("<taskId>", "its id");
  withViewOptions(command).action((taskId: string, options: ViewOptions, show: Command) =>
    runVerb(show, (settings) => present(settings, viewOf(taskId), options)),
  );
}

function viewOf(taskId: string): View<TaskView> {
  return {
    ask: (client) => client.get(taskId),
    lines: taskLines,
    json: (task) => task,
    entries: (task) => [{ id: taskId, json: task, changeKey: taskChangeKey(task) }],
    isFinal: ({ endedAt }) => endedAt !== undefined,
  };
}

function taskLines(task: TaskView, style: Style): readonly string[] {
  const now = Date.now();
  const { usage, run } = task;
  return [
    ...labelLines(
      [
        [run === undefined ? "task" : "workflow", style.paint("bold", task.taskId)],
        ["type", oneLine(task.type)],
        ["state", style.paint(taskStatePaint[task.state], task.state)],
        ["reason", task.reason === undefined ? undefined : oneLine(task.reason)],
        ["priority", style.paint(priorityPaint[task.priority], task.priority)],
        // A workflow's attempts are its runs.
        ["attempt", run === undefined ? attemptText(task) : undefined],
        ...runLabels(run, now),
        ["of workflow", task.workflow?.workflowId],
        ["agent", task.agentId],
        ["needs", task.requiredCapabilities.length === 0 ? "any agent" : oneLine(task.requiredCapabilities.join(", "))],
        ["depends on", task.dependencies.length === 0 ? undefined : task.dependencies.join(", ")],
        ["submitted", `${instantText(task.submittedAt)} (${durationText(now - task.submittedAt)} ago)`],
        ["assigned", task.assignedAt === undefined ? undefined : instantText(task.assignedAt)],
        ["ended", endText(task)],
        ["usage", usageText(usage ?? run?.usage)],
      ],
      style,
    ),
    ...failureLines(task.error, style),
    ...jsonLines("progress", task.progress, style),
    ...namedLines("memo", run?.memo, style),
    ...namedLines("search attributes", run?.searchAttributes, style),
    ...jsonLines("metadata", task.metadata, style),
    ...jsonLines("input", task.input, style),
    ...jsonLines("output", task.output, style),
  ];
}

function attemptText({ attempt, maximumAttempts }: TaskView): string {
  return `${attempt}${maximumAttempts === 0 ? ", no limit" : ` of ${maximumAttempts}`}`;
}

/** Of the run that is under way, or was the last. */
function runLabels(run: TaskView["run"], now: number): readonly Labelled[] {
  if (run === undefined) return [];
  const { runId, firstExecutionRunId, attempt, startedAt, historyLength, parent, workerId } = run;
  const continues = runId === firstExecutionRunId ? undefined : `the chain that run ${firstExecutionRunId} began`;
  return [
    ["run", `${runId}${attempt === 1 ? "" : `, attempt ${attempt}`}`],
    ["goes on", continues],
    ["began", `${instantText(startedAt)} (${durationText(now - startedAt)} ago)`],
    ["history", `${historyLength} events`],
    ["parent", parent === undefined ? undefined : `${parent.workflowId} (run ${parent.runId})`],
    ["worker", workerId],
  ];
}

function usageText(usage: TaskView["usage"]): string | undefined {
  if (usage === undefined) return undefined;
  const { cost, tokens, model } = usage;
  return `$${cost}, ${tokens.input} tokens in, ${tokens.output} out, ${oneLine(model)}`;
}

function endText({ endedAt, submittedAt, assignedAt }: TaskView): string | undefined {
  if (endedAt === undefined) return undefined;
  const ran = assignedAt === undefined ? "" : `, ${durationText(endedAt - assignedAt)} after it was assigned`;
  return `${instantText(endedAt)} (${durationText(endedAt - submittedAt)} after submission${ran})`;
}

function failureLines(failure: Failure | undefined, style: Style): readonly string[] {
  if (failure === undefined) return [];
  const head = `${oneLine(failure.type)}: ${oneLine(failure.message)}`;
  const stack = failure.stack === undefined ? [] : printableLines(failure.stack.trimEnd());
  // A stack begins with what is said above it already.
  const frames = stack[0] === head ? stack.slice(1) : stack;
  return section("error", [failure.nonRetryable === true ? `${head} (not to be retried)` : head, ...frames], style);
}

function jsonLines(title: string, value: unknown, style: Style): readonly string[] {
  return value === undefined ? [] : section(title, printableLines(JSON.stringify(value, null, 2)), style);
}

/** Nothing at all where there are no names. */
function namedLines(
  title: string,
  values: Readonly<Record<string, unknown>> | undefined,
  style: Style,
): readonly string[] {
  return Object.keys(values ?? {}).length === 0 ? [] : jsonLines(title, values, style);
}

function section(title: string, lines: readonly string[], style: Style): readonly string[] {
  return ["", style.paint("bold", title), ...lines.map((line) => `  ${line}`)];
}
