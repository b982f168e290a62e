/** `perdure submit`: hands in one task or a batch, and with `--wait` stays until all of it has ended. */
import { type Command, Option } from "commander";
import type { Client } from "../../client/client.js";
import type { NewTask } from "../../client/submission.js";
import type { EndedTask } from "../../client/task-outcome.js";
import { PerdureError } from "../../errors.js";
import type { Priority } from "../../protocol/priority.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { followTask } from "../follow-task.js";
import { printJson, printLines, say } from "../messages.js";
import { parseCount, parseDuration } from "../option-values.js";
import { type Format, type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { priorityPaint } from "../state-paint.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";

interface SubmitOptions extends FormatOptions {
  readonly input?: string;
  readonly inputFile?: string;
  readonly batch?: string;
  readonly id?: string;
  readonly priority?: Priority;
  readonly dependsOn?: readonly string[];
  readonly needs?: readonly string[];
  readonly attemptTimeout?: number;
  readonly closeWithin?: number;
  readonly attempts?: number;
  readonly prefer?: string;
  readonly wait?: true;
}

/** What describes one task, and so has no place beside a file of them. */
const ofOneTask = [
  "input",
  "inputFile",
  "id",
  "priority",
  "dependsOn",
  "needs",
  "attemptTimeout",
  "closeWithin",
  "attempts",
];

export function addSubmit(program: Command): void {
  const command = program
    .command("submit")
    .description("submit a task, or a batch that is accepted whole or not at all, and print the ids")
    .argument("[type]", "the task's type, for example resize")
    .addOption(new Option("--input <json>", "its input").conflicts("inputFile"))
    .option("--input-file <file>", "a file with its input; - is standard input")
    .argument("[source]", "- takes the input from standard input")
    .option("--id <id>", "its id; submitting again under the same id is safe")
    .addOption(new Option("--priority <priority>", "how urgent it is").choices(Object.keys(priorityPaint)))
    .option("--depends-on <taskIds...>", "tasks that must complete first")
    .option("--needs <capabilities...>", "what its agent must be capable of (default: its type)")
    .option("--attempt-timeout <duration>", "how long one attempt may take", parseDuration)
    .option("--close-within <duration>", "how long all attempts together may take", parseDuration)
    .option("--attempts <n>", "attempts in all; 0 is without limit (default: 3)", parseCount)
    .option("--prefer <agentId>", "the agent to choose if it can take the task")
    .addOption(
      new Option("--batch <file>", "tasks as a JSON array, or one a line; - is standard input").conflicts(ofOneTask),
    )
    .option("--wait", "stay until it has ended, then print its output; --timeout bounds that");
  withFormatOptions(command).action(
    (type: string | undefined, source: string | undefined, options: SubmitOptions, verb: Command) =>
      runVerb(verb, (settings) => submit(settings, type, source, options)),
  );
}

async function submit(
  settings: Settings,
  type: string | undefined,
  source: string | undefined,
  options: SubmitOptions,
): Promise<ExitStatus> {
  const tasks = options.batch === undefined ? null : await batchFrom(options.batch, type);
  const task = tasks === null ? await taskFrom(type, source, options) : null;
  const submitOptions = options.prefer === undefined ? {} : { preferredAgentId: options.prefer };
  return await withClient(settings, async (client) => {
    const handles =
      task === null ? await client.submitAll(tasks ?? [], submitOptions) : [await client.submit(task, submitOptions)];
    const taskIds = handles.map(({ taskId }) => taskId);
    const submitted: Submitted = { taskIds, form: task === null ? "batch" : "single" };
    const format = formatOf(options);
    if (options.wait === true) {
      // Whoever stops waiting has to know what to ask for later.
      say(task === null ? `submitted ${taskIds.length} tasks` : `submitted task ${taskIds[0]}`);
      return await waitForAll(client, settings, submitted, format);
    }
    printIds(submitted, format);
    return exitStatus.ok;
  });
}

async function taskFrom(
  type: string | undefined,
  source: string | undefined,
  options: SubmitOptions,
): Promise<NewTask> {
  if (type === undefined) throw new PerdureError("USAGE", "submit needs the task's type first, or --batch and a file");
  return {
    type,
    taskId: options.id,
    input: await inputFrom(source, options),
    priority: options.priority,
    dependencies: options.dependsOn,
    requiredCapabilities: options.needs,
    timeoutMs: options.attemptTimeout,
    scheduleToCloseMs: options.closeWithin,
    retry: options.attempts === undefined ? undefined : { maximumAttempts: options.attempts },
  };
}

async function inputFrom(source: string | undefined, { input, inputFile }: SubmitOptions): Promise<unknown> {
  const { parseJson, readSource } = await import("../json-input.js");
  if (source !== undefined) {
    if (source !== "-" || input !== undefined || inputFile !== undefined) {
      throw new PerdureError(
        "USAGE",
        `"${source}" is one argument too many; give the input with --input or --input-file`,
      );
    }
    return parseJson(await readSource("-"));
  }
  if (input !== undefined) return parseJson({ name: "--input", text: input });
  return inputFile === undefined ? undefined : parseJson(await readSource(inputFile));
}

async function batchFrom(file: string, type: string | undefined): Promise<readonly NewTask[]> {
  if (type !== undefined) {
    throw new PerdureError("USAGE", `the tasks of a batch name their types themselves; leave out "${type}"`);
  }
  const { readSource } = await import("../json-input.js");
  const { parseBatch } = await import("../batch-input.js");
  return parseBatch(await readSource(file));
}

interface Submitted {
  readonly taskIds: readonly string[];
  readonly form: "single" | "batch";
}

function printIds({ taskIds, form }: Submitted, format: Format): void {
  if (format === "text") printLines(taskIds);
  else if (format === "json" && form === "batch") printJson({ taskIds });
  else for (const taskId of taskIds) printJson({ taskId });
}

/** Prints in the order of submission: a document as soon as all have ended, a line as soon as all before it have. */
async function waitForAll(
  client: Client,
  settings: Settings,
  { taskIds, form }: Submitted,
  format: Format,
): Promise<ExitStatus> {
  const deadline = settings.timeoutMs === undefined ? undefined : performance.now() + settings.timeoutMs;
  const ended: EndedTask[] = [];
  // One after the other: all have to end anyway, and one that has ended answers at once.
  for (const taskId of taskIds) {
    const task = await followTask(client, taskId, deadline === undefined ? undefined : deadline - performance.now());
    if (format === "jsonl") printJson(task);
    ended.push(task);
  }
  const completed = ended.filter(({ state }) => state === "completed");
  if (format === "json") printJson(form === "single" ? ended[0] : { tasks: ended });
  else if (format === "text") printLines(completed.map((task) => outputText(task, form)));
  for (const task of ended) if (task.state !== "completed") say(failureText(task));
  return completed.length === ended.length ? exitStatus.ok : exitStatus.taskFailed;
}

/** In a batch a line needs the id it belongs to. */
function outputText({ taskId, output }: EndedTask, form: "single" | "batch"): string {
  return form === "single" ? JSON.stringify(output ?? null, null, 2) : `${taskId} ${JSON.stringify(output ?? null)}`;
}

function failureText({ taskId, state, attempt, error, reason }: EndedTask): string {
  const how = state === "timed_out" ? "timed out" : state === "cancelled" ? "was cancelled" : "failed";
  const code = error?.type ?? state.toUpperCase();
  const why = error?.message ?? reason ?? "no reason was given";
  return `${code}: task ${taskId} ${how} after attempt ${attempt}: ${why} (perdure show ${taskId})`;
}
