/** How a verb is run: its options completed, its faults said, its end told to the shell. */
import type { Command } from "commander";
import type { ExitStatus } from "./exit-status.js";
import { reportFault } from "./faults.js";
import type { GlobalOptions, Settings } from "./settings.js";

export type Verb = (settings: Settings) => Promise<ExitStatus>;

/** Runs `verb` with the settings of the command line that `command` was found on; never rejects. */
export async function runVerb(command: Command, verb: Verb): Promise<void> {
  process.exitCode = await settle(command.optsWithGlobals<GlobalOptions>(), verb);
}

async function settle(options: GlobalOptions, verb: Verb): Promise<ExitStatus> {
  try {
    // Loads the schema library, which `--help` does without.
    const [{ readEnvironment }, { settingsFrom }] = await Promise.all([
      import("./environment.js"),
      import("./settings.js"),
    ]);
    return await verb(settingsFrom(options, readEnvironment()));
  } catch (fault) {
    return reportFault(fault);
  }
}
