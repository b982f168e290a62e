/** `perdure events`: what happens, as it happens. */
import { type Command, Option } from "commander";
import { PerdureError } from "../../errors.js";
import type { SystemEventType } from "../../protocol/system-message.js";
import { parseCount } from "../option-values.js";
import { type FormatOptions, withFormatOptions } from "../output-format.js";
import { eventPaint } from "../state-paint.js";
import { runVerb } from "../verb.js";

export interface EventsOptions extends FormatOptions {
  readonly type?: readonly SystemEventType[];
  readonly task?: string;
  readonly agent?: string;
  readonly limit?: number;
}

export function addEvents(program: Command): void {
  const command = program
    .command("events")
    .description("follow what happens until Ctrl-C; each event is broadcast once, and what was missed stays missed")
    .addOption(new Option("--type <types...>", "only these types").choices(Object.keys(eventPaint)))
    .option("--task <taskId>", "only what names this task")
    .option("--agent <agentId>", "only what names this agent")
    .option("--limit <n>", "end after so many; with --timeout, fail if there were fewer", parseCount);
  withFormatOptions(command).action((options: EventsOptions, verb: Command) =>
    runVerb(verb, async (settings) => {
      if (options.limit === 0) throw new PerdureError("USAGE", "--limit is 0 and may be 1 or more");
      const { followEvents } = await import("../follow-events.js");
      return await followEvents(settings, options);
    }),
  );
}
