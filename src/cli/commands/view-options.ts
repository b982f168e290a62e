import type { Command } from "commander";
import { withFormatOptions } from "../output-format.js";

/** The options of every verb that shows something. */
export function withViewOptions(command: Command): Command {
  return withFormatOptions(command).option("--watch", "show it again whenever it changes, until Ctrl-C");
}
