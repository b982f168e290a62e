/** `perdure terminate`: ends workflows at once; no code of theirs runs any more. */
import type { Command } from "commander";
import { exitStatus } from "../exit-status.js";
import { printJson, printLines } from "../messages.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
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
    runVerb(verb, async (settings) => {
      await withClient(settings, async (client) => {
        for (const workflowId of workflowIds) {
          await client.workflow(workflowId).terminate(options.reason);
          if (formatOf(options) === "text") printLines([`${workflowId} terminated`]);
          else printJson({ workflowId, state: "terminated" });
        }
      });
      return exitStatus.ok;
    }),
  );
}
