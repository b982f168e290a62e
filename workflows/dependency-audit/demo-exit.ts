/** How the demo ends for the shell, and the one sentence it says when it does not end well. */
import { PerdureError, TaskFailedError } from "perdure";
import { AuditError } from "./audit-error.js";

/** Scripts branch on these, so they never change. Signals end it with 128 and their number, as a shell has it. */
export const demoExit = {
  /** The report is complete. */
  complete: 0,
  failed: 1,
  usage: 2,
  /** The project cannot be audited; nothing was started. */
  refused: 3,
  hangup: 129,
  interrupted: 130,
  /** Nobody reads stdout any more. */
  outputClosed: 141,
  terminated: 143,
} as const;
export type DemoExit = (typeof demoExit)[keyof typeof demoExit];

/** An end that is not the report, told to the user as it is. */
export class DemoStopped extends Error {
  override readonly name = "DemoStopped";
  readonly exit: DemoExit;

  constructor(exit: DemoExit, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.exit = exit;
  }
}

export interface Ending {
  readonly exit: DemoExit;
  readonly sentence: string;
}

/** Whatever was thrown. A fault nobody expected keeps its stack: it is a defect of the demo, not of its surroundings. */
export function endingOf(fault: unknown): Ending {
  if (fault instanceof DemoStopped) return { exit: fault.exit, sentence: fault.message };
  if (fault instanceof AuditError) return { exit: demoExit.refused, sentence: fault.message };
  if (fault instanceof PerdureError) return { exit: demoExit.failed, sentence: `${fault.code}: ${fault.message}` };
  if (fault instanceof TaskFailedError) {
    return { exit: demoExit.failed, sentence: `there is no report: ${fault.message}` };
  }
  const text = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
  return { exit: demoExit.failed, sentence: `the demo met what it did not expect: ${text}` };
}
