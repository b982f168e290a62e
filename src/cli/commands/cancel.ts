/** `perdure cancel`: asks for tasks not to run, or to stop running. One that cannot be cancelled keeps none from it. */
import type { Command } from "commander";
import { PerdureError } from "../../errors.js";
import type { TaskView } from "../../protocol/task-message.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { reportFault } from "../faults.js";
import { printJson, printLines } from "../messages.js";
import type { Settings } from "../settings.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";

interface CancelOptions {
  readonly json?: true;
}

export function addCancel(program: Command): void {
  program
    .command("cancel")
    .description("cancel tasks")
    .argument("<ids...>", "the tasks' ids")
    .option("--json", "print JSON for programs instead of a text for people")
    .action((taskIds: readonly string[], options: CancelOptions, command: Command) =>
      runVerb(command, (settings) => cancel(settings, taskIds, options)),
    );
}

/** The status of the first task that could not be cancelled, if any. */
async function cancel(settings: Settings, taskIds: readonly string[], options: CancelOptions): Promise<ExitStatus> {
  const tasks: TaskView[] = [];
  let status: ExitStatus = exitStatus.ok;
  await withClient(settings, async (client) => {
    for (const taskId of taskIds) {
      try {
        tasks.push(await client.cancel(taskId));
      } catch (fault) {
        if (!(fault instanceof PerdureError)) throw fault;
        const reported = reportFault(fault);
        if (status === exitStatus.ok) status = reported;
      }
    }
  });
  if (options.json === true) printJson({ tasks });
  else printLines(tasks.map(cancelledText));
  return status;
}

function cancelledText({ taskId, state, endedAt }: TaskView): string {
  if (state === "cancelled") return `${taskId} cancelled`;
  return endedAt === undefined ? `${taskId} ${state}; its agent was told to stop` : `${taskId} had ended ${state}`;
}
