/** `perdure replay`: runs a recorded history against the code as it is now, without a server. */
import type { Command } from "commander";
import { PerdureError } from "../../errors.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { printJson, printLines, sayFault } from "../messages.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import { runVerb } from "../verb.js";

export function addReplay(program: Command): void {
  const command = program
    .command("replay")
    .description("run a history (perdure history ID --json) against today's code, and say where they differ")
    .argument("<history>", "a file with it; - is standard input")
    .argument("<files...>", "JavaScript modules that export the workflows; * stands for any name");
  withFormatOptions(command).action(
    (history: string, files: readonly string[], options: FormatOptions, verb: Command) =>
      runVerb(verb, () => replayFile(history, files, options)),
  );
}

async function replayFile(source: string, files: readonly string[], options: FormatOptions): Promise<ExitStatus> {
  const [{ parseJson, readSource }, { loadWorkflows }, { replay }] = await Promise.all([
    import("../json-input.js"),
    import("../workflow-files.js"),
    import("../../testing/replay.js"),
  ]);
  const given = await readSource(source);
  const history = eventsIn(parseJson(given), given.name);
  const outcome = await replay({ workflows: await loadWorkflows(files), history });
  if (!outcome.ok) {
    const { name, message } = outcome.error;
    sayFault({ code: "NONDETERMINISM", message, details: { error: name } });
    return exitStatus.taskFailed;
  }
  if (formatOf(options) === "text")
    printLines([`the code does what the history says, all ${history.length} events of it`]);
  else printJson({ ok: true, events: history.length });
  return exitStatus.ok;
}

/** What `perdure history --json` prints, or the events alone. @throws PerdureError USAGE */
function eventsIn(value: unknown, source: string): readonly unknown[] {
  const events = typeof value === "object" && value !== null && "events" in value ? value.events : value;
  if (Array.isArray(events) && events.length > 0) return events;
  throw new PerdureError(
    "USAGE",
    `${source} has no history; it takes what perdure history ID --json prints: {"workflowId": …, "events": […]}`,
  );
}
