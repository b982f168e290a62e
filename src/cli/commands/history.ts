/** `perdure history`: what happened in a run, in order. `--json` prints what `perdure replay` takes. */
import type { Command } from "commander";
import type { HistoryEvent } from "../../protocol/history-event.js";
import { exitStatus } from "../exit-status.js";
import { eventText } from "../history-text.js";
import { printJson, printLines } from "../messages.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import { instantText } from "../time-text.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";

interface HistoryOptions extends FormatOptions {
  readonly run?: string;
  readonly workflowTasks?: true;
}

export function addHistory(program: Command): void {
  const command = program
    .command("history")
    .description("show what happened in a workflow's run, in order")
    .argument("<workflowId>", "the workflow's id")
    .option("--run <runId>", "which run (default: the one that is open, or the last)")
    .option("--workflow-tasks", "also the workflow tasks, each of which perdure reset can go back to");
  withFormatOptions(command).action((workflowId: string, options: HistoryOptions, verb: Command) =>
    runVerb(verb, async (settings) => {
      const events = await withClient(settings, (client) =>
        client.workflow(workflowId).history(options.run === undefined ? {} : { runId: options.run }),
      );
      const format = formatOf(options);
      if (format === "json") printJson({ workflowId, events });
      else if (format === "jsonl") for (const event of events) printJson(event);
      else {
        printLines(
          events.flatMap((event) => {
            const text = eventText(event) ?? (options.workflowTasks === undefined ? null : workflowTaskText(event));
            return text === null ? [] : [`${String(event.eventId).padStart(5)}  ${instantText(event.at)}  ${text}`];
          }),
        );
      }
      return exitStatus.ok;
    }),
  );
}

function workflowTaskText(event: HistoryEvent): string | null {
  return event.type === "WorkflowTaskCompleted" ? `workflow task completed by ${event.agentId}` : null;
}
