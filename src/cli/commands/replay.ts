/** `perdure replay`: runs a recorded history against the code as it is now, without a server. */
import type { Command } from "commander";
import { z } from "zod";
import { PerdureError } from "../../errors.js";
import { exitStatus } from "../exit-status.js";
import { printLines, sayFault } from "../messages.js";
import { runVerb } from "../verb.js";

export function addReplay(program: Command): void {
  program
    .command("replay")
    .description("run a history (perdure history ID --json) against today's code, and say where they differ")
    .argument("<history>", "a file with it; - is standard input")
    .argument("<files...>", "JavaScript modules that export the workflows; * stands for any name")
    .action((history: string, files: readonly string[], _options: object, verb: Command) =>
      runVerb(verb, async () => {
        const [{ parseJson, readSource }, { loadWorkflows }, { replay }, { HistoryEvent }] = await Promise.all([
          import("../json-input.js"),
          import("../workflow-files.js"),
          import("../../testing/replay.js"),
          import("../../protocol/history-event.js"),
        ]);
        const Recorded = z.object({ workflowId: z.string().default("replayed"), events: z.array(HistoryEvent).min(1) });
        const parsed = Recorded.safeParse(parseJson(await readSource(history)));
        if (!parsed.success) {
          const [issue] = parsed.error.issues;
          throw new PerdureError("USAGE", `${history} is no history: ${issue?.path.join(".")}: ${issue?.message}`);
        }
        const { workflowId, events } = parsed.data;
        const workflows = await loadWorkflows(files);
        const outcome = await replay({ workflows, history: events, workflowId });
        if (outcome.ok) {
          printLines([`the code does what the history says, up to event ${events.at(-1)?.eventId}`]);
          return exitStatus.ok;
        }
        sayFault({ code: "NONDETERMINISM", message: outcome.error.message, details: { workflowId } });
        return exitStatus.taskFailed;
      }),
    );
}
