/** `perdure run`: starts a workflow and follows it to its end. */
import { type Command, Option } from "commander";
import type { EndedTask } from "../../client/task-outcome.js";
import type { StartOptions } from "../../client/workflow-start.js";
import type { Priority } from "../../protocol/priority.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { followRun } from "../follow-run.js";
import { printJson, printLines, say } from "../messages.js";
import { parseDuration } from "../option-values.js";
import { type Format, type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { priorityPaint } from "../state-paint.js";
import { listenToStopSignals } from "../stop-signals.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";
import { type InputOptions, inputOf, withInputOptions } from "../workflow-input.js";

interface RunOptions extends FormatOptions, InputOptions {
  readonly id?: string;
  readonly priority?: Priority;
  readonly executionTimeout?: number;
  readonly runTimeout?: number;
  readonly idReuse?: NonNullable<StartOptions["idReusePolicy"]>;
  readonly idConflict?: NonNullable<StartOptions["idConflictPolicy"]>;
  readonly detach?: true;
}

export function addRun(program: Command): void {
  const command = program
    .command("run")
    .description("start a workflow, follow it to its end and print its output")
    .argument("<workflow>", "its type, for example order")
    .option("--id <id>", "its id; starting again under the same id with the same input is safe")
    .addOption(new Option("--priority <priority>", "how urgent it is").choices(Object.keys(priorityPaint)))
    .option("--execution-timeout <duration>", "how long it may take, with all its runs", parseDuration)
    .option("--run-timeout <duration>", "how long one run may take", parseDuration)
    .addOption(
      new Option("--id-reuse <policy>", "what happens where the id's workflow has ended").choices([
        "allowDuplicate",
        "allowDuplicateFailedOnly",
        "rejectDuplicate",
      ]),
    )
    .addOption(
      new Option("--id-conflict <policy>", "what happens where the id's workflow is open").choices([
        "fail",
        "useExisting",
        "terminateExisting",
      ]),
    )
    .option("--detach", "print its id and do not wait for it");
  withFormatOptions(withInputOptions(command, "its input")).action((type: string, options: RunOptions, verb: Command) =>
    runVerb(verb, (settings) => run(settings, type, options)),
  );
}

async function run(settings: Settings, type: string, options: RunOptions): Promise<ExitStatus> {
  const input = await inputOf(options);
  return await withClient(settings, async (client) => {
    const { id, priority, executionTimeout, runTimeout, idReuse, idConflict } = options;
    const handle = await client.start(type, input, {
      ...(id === undefined ? {} : { workflowId: id }),
      ...(priority === undefined ? {} : { priority }),
      ...(executionTimeout === undefined ? {} : { executionTimeout }),
      ...(runTimeout === undefined ? {} : { runTimeout }),
      ...(idReuse === undefined ? {} : { idReusePolicy: idReuse }),
      ...(idConflict === undefined ? {} : { idConflictPolicy: idConflict }),
    });
    const format = formatOf(options);
    if (options.detach === true) {
      if (format === "text") printLines([handle.workflowId]);
      else printJson({ workflowId: handle.workflowId });
      return exitStatus.ok;
    }
    // Whoever stops looking on has to know what to ask for later.
    say(`started workflow ${handle.workflowId}`);
    const stop = listenToStopSignals(["SIGINT", "SIGTERM"]);
    try {
      const ended = await followRun(handle, { timeoutMs: settings.timeoutMs, signal: stop.signal });
      return report(ended, format);
    } catch (fault) {
      if (!stop.signal.aborted) throw fault;
      say(`workflow ${handle.workflowId} goes on; perdure show ${handle.workflowId} says how it is`);
      stop.passOn();
      return exitStatus.ok;
    } finally {
      stop.forget();
    }
  });
}

function report(ended: EndedTask, format: Format): ExitStatus {
  const { taskId, state, output, error, reason } = ended;
  if (format !== "text") printJson(ended);
  else if (state === "completed") printLines([JSON.stringify(output ?? null, null, 2)]);
  if (state === "completed") return exitStatus.ok;
  const why = error?.message ?? reason ?? "no reason was given";
  say(
    `${error?.type ?? state.toUpperCase()}: workflow ${taskId} ${endTexts[state]}: ${why} (perdure history ${taskId})`,
  );
  return exitStatus.taskFailed;
}

const endTexts: Readonly<Record<Exclude<EndedTask["state"], "completed">, string>> = {
  failed: "failed",
  timed_out: "timed out",
  cancelled: "was cancelled",
  terminated: "was terminated",
};
