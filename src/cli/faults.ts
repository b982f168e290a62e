/** How a fault is said, and what the shell is told. */
import { PerdureError } from "../errors.js";
import { type ExitStatus, exitStatus, exitStatusOf } from "./exit-status.js";
import { say } from "./messages.js";

/** One sentence for what was to be expected; the whole stack for what was not, because that is a bug. */
export function reportFault(fault: unknown): ExitStatus {
  if (fault instanceof PerdureError) {
    say(`${fault.code}: ${fault.message}`);
    return exitStatusOf(fault.code);
  }
  say("this is a bug in perdure; please report it with what follows");
  process.stderr.write(`${fault instanceof Error ? fault.stack : String(fault)}\n`);
  return exitStatus.internal;
}
