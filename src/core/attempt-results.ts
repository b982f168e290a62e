/** What a result changes, if it belongs to the attempt under way. */
import type { TaskResult } from "../protocol/agent-message.js";
import type { AgentId } from "../protocol/ids.js";
import type { TaskRecord } from "../protocol/task-record.js";
import type { Ledger } from "./ledger.js";
import { type ResultVerdict, screenResult } from "./result-screen.js";
import type { Workflows } from "./run/workflows.js";

export function takeResult(
  ledger: Ledger,
  workflows: Workflows,
  sender: AgentId,
  result: TaskResult,
  at: number,
): ResultVerdict {
  const record = ledger.tasks.get(result.taskId);
  const verdict = screenResult(record, result, sender, ledger.agents.get(sender));
  if (verdict.kind === "refused") {
    const { taskId, attempt } = result;
    const { code, message } = verdict;
    ledger.broadcast("RESULT_REFUSED", { taskId, agentId: sender, attempt, code, message });
  }
  if (verdict.kind !== "current" || record === undefined) return verdict;
  if (workflows.isActivation(record)) workflows.answer(record, result, at);
  else apply(ledger, record, result, at);
  return verdict;
}

function apply(ledger: Ledger, record: TaskRecord, result: TaskResult, at: number): void {
  const usage = result.usage ?? null;
  switch (result.status) {
    case "completed":
      ledger.commitTask(record, { type: "AttemptCompleted", at, output: result.output ?? null, usage });
      return;
    case "failed": {
      const failure = result.error ?? { type: "UNKNOWN", message: "the agent gave no reason" };
      ledger.commitTask(record, { type: "AttemptFailed", at, failure, usage });
      return;
    }
    case "cancelled":
      if (record.state === "cancelling") {
        ledger.commitTask(record, { type: "AttemptCancelled", at, usage });
      } else {
        // Nobody asked for it: the work is not done, and saying so must not make it unlimited.
        const message = `agent ${record.agentId} stopped without being asked to`;
        ledger.commitTask(record, {
          type: "AttemptFailed",
          at,
          failure: { type: "CANCELLED_BY_AGENT", message },
          usage,
        });
      }
  }
}
