import { TaskFailure } from "../agent/task-failure.js";

/** A function of a bridge's declaration threw at what it has to be able to read. It would throw again. */
export function ruleFailed(what: string, thrown: unknown): TaskFailure {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new TaskFailure(`BRIDGE_RULE_FAILED: the rule for the ${what} threw: ${why}`, {
    type: "BRIDGE_RULE_FAILED",
    nonRetryable: true,
    cause: thrown,
  });
}
