/** `perdure cancel`: asks for tasks not to run, or to stop running. One that cannot be cancelled keeps none from it. */
import type { Command } from "commander";
import { PerdureError } from "../../errors.js";
import type { TaskView } from "../../protocol/task-message.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { reportFault } from "../faults.js";
import { printJson, printLines } from "../messages.js";
import { type Format, type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";

export function addCancel(program: Command): void {
  const command = program
    .command("cancel")
    .description("cancel tasks and workflows")
    .argument("<taskIds...>", "their ids");
  withFormatOptions(command).action((taskIds: readonly string[], options: FormatOptions, verb: Command) =>
    runVerb(verb, (settings) => cancel(settings, taskIds, formatOf(options))),
  );
}

/** The status of the first task that could not be cancelled, if any. */
async function cancel(settings: Settings, taskIds: readonly string[], format: Format): Promise<ExitStatus> {
  const tasks: TaskView[] = [];
  let status: ExitStatus = exitStatus.ok;
  await withClient(settings, async (client) => {
    for (const taskId of taskIds) {
      try {
        const task = await client.cancel(taskId);
        if (format === "jsonl") printJson(task);
        else if (format === "text") printLines([cancelledText(task)]);
        tasks.push(task);
      } catch (fault) {
        if (!(fault instanceof PerdureError)) throw fault;
        const reported = reportFault(fault);
        if (status === exitStatus.ok) status = reported;
      }
    }
  });
  if (format === "json") printJson({ tasks });
  return status;
}

function cancelledText({ taskId, state, endedAt, run }: TaskView): string {
  if (state === "cancelled") return `${taskId} cancelled`;
  if (endedAt === undefined && run !== undefined) return `${taskId} ${state}; its code is told, and may clean up first`;
  return endedAt === undefined ? `${taskId} ${state}; its agent was told to stop` : `${taskId} had ended ${state}`;
}
