import type { Command } from "commander";

/** The two options of every verb that shows something. */
export function withViewOptions(command: Command): Command {
  return command
    .option("--json", "print JSON for programs instead of a text for people")
    .option("--watch", "show it again whenever it changes, until Ctrl-C");
}
