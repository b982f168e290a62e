/** What the shell is told of a fault. */
import { PerdureError } from "../errors.js";
import { type ExitStatus, exitStatus, exitStatusOf } from "./exit-status.js";
import { sayBug, sayFault } from "./messages.js";

export function reportFault(fault: unknown): ExitStatus {
  if (fault instanceof PerdureError) {
    sayFault(fault);
    return exitStatusOf(fault.code);
  }
  sayBug(fault);
  return exitStatus.internal;
}
