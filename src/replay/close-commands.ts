import type { CommandType } from "../protocol/command.js";

/** Commands that close the run. */
export const closeCommandTypes: ReadonlySet<CommandType> = new Set([
  "CompleteWorkflow",
  "FailWorkflow",
  "CancelWorkflow",
  "ContinueAsNew",
]);
