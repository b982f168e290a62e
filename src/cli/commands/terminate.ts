/** `perdure terminate`: ends workflows at once; no code of theirs runs any more. */
import type { Command } from "commander";
import { PerdureError } from "../../errors.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { reportFault } from "../faults.js";
import { printJson, printLines } from "../messages.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";

interface TerminateOptions extends FormatOptions {
  readonly reason?: string;
}

export function addTerminate(program: Command): void {
  const command = program
    .command("terminate")
    .description("end workflows at once, without running their code")
    .argument("<workflowIds...>", "the workflows' ids")
    .option("--reason <text>", "why; it is in the history");
  withFormatOptions(command).action((workflowIds: readonly string[], options: TerminateOptions, verb: Command) =>
    runVerb(verb, (settings) => terminate(settings, workflowIds, options)),
  );
}

/** The status of the first workflow that could not be terminated, if any. */
async function terminate(
  settings: Settings,
  workflowIds: readonly string[],
  options: TerminateOptions,
): Promise<ExitStatus> {
  const format = formatOf(options);
  const terminated: { readonly workflowId: string }[] = [];
  let status: ExitStatus = exitStatus.ok;
  await withClient(settings, async (client) => {
    for (const workflowId of workflowIds) {
      try {
        await client.workflow(workflowId).terminate(options.reason);
        if (format === "jsonl") printJson({ workflowId });
        else if (format === "text") printLines([`${workflowId} terminated`]);
        terminated.push({ workflowId });
      } catch (fault) {
        if (!(fault instanceof PerdureError)) throw fault;
        const reported = reportFault(fault);
        if (status === exitStatus.ok) status = reported;
      }
    }
  });
  if (format === "json") printJson({ terminated });
  return status;
}
