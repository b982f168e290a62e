/** `perdure reset`: a new run of a workflow, from a point in the history of its last one. */
import { type Command, Option } from "commander";
import type { ResetPoint, ResetReapply } from "../../protocol/workflow-message.js";
import { exitStatus } from "../exit-status.js";
import { printJson, printLines } from "../messages.js";
import { parseCount } from "../option-values.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";

/** Written out: help is printed without the schemas. */
const reapplies = ["all", "signals", "updates", "none"] satisfies readonly ResetReapply[];

interface ResetVerbOptions extends FormatOptions {
  readonly event?: number;
  readonly first?: true;
  readonly reason?: string;
  readonly reapply: ResetReapply;
  readonly run?: string;
}

export function addReset(program: Command): void {
  const command = program
    .command("reset")
    .description("try a workflow again from a point in its history, open or ended")
    .argument("<workflowId>", "the workflow's id")
    .addOption(new Option("--last", "to before its last workflow task (default)").conflicts(["event", "first"]))
    .addOption(new Option("--first", "to before its first workflow task").conflicts(["event", "last"]))
    .addOption(
      new Option(
        "--event <id>",
        "to before the workflow task that ended with this event; perdure history --workflow-tasks shows them",
      ).argParser(parseCount),
    )
    .option("--reason <text>", "why; it is in the history")
    .addOption(
      new Option("--reapply <what>", "what came in since and is given to the new run")
        .choices(reapplies)
        .default("all"),
    )
    .option("--run <runId>", "refuse unless this is the last run");
  withFormatOptions(command).action((workflowId: string, options: ResetVerbOptions, verb: Command) =>
    runVerb(verb, async (settings) => {
      const { event, first, reason, reapply, run } = options;
      const to: ResetPoint = event ?? (first === undefined ? "lastWorkflowTask" : "firstWorkflowTask");
      const { runId } = await withClient(settings, (client) =>
        client.workflow(workflowId).reset({
          to,
          reapply,
          ...(reason === undefined ? {} : { reason }),
          ...(run === undefined ? {} : { runId: run }),
        }),
      );
      if (formatOf(options) === "text") printLines([`${workflowId} goes on in run ${runId}`]);
      else printJson({ workflowId, runId });
      return exitStatus.ok;
    }),
  );
}
