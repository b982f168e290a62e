/** `perdure run`: starts a workflow and follows it to its end. */
import { type Command, Option } from "commander";
import type { StartOptions } from "../../client/run-handle.js";
import type { Priority } from "../../protocol/priority.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { followRun } from "../follow-run.js";
import { printJson, printLines, say } from "../messages.js";
import { parseDuration } from "../option-values.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { priorityPaint } from "../state-paint.js";
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
    say(`started workflow ${handle.workflowId}`);
    const ended = await followRun(handle, settings.timeoutMs);
    if (format !== "text") printJson(ended);
    else if (ended.state === "completed") printLines([JSON.stringify(ended.output ?? null, null, 2)]);
    if (ended.state === "completed") return exitStatus.ok;
    say(`${ended.error?.type ?? ended.state.toUpperCase()}: workflow ${ended.taskId} ${ended.state}: ${ended.reason ?? ""}`);
    return exitStatus.taskFailed;
  });
}
