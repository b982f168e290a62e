/** An agent process on the agent SDK, as a user would write it. */
import {
  type AttemptStopped,
  agent,
  drainOnSignals,
  PerdureError,
  type TaskContext,
  TaskFailure,
} from "../../src/index.js";
import type { Output, WorkOrder } from "../checker/history.js";
import { workOn } from "../checker/work.js";
import { AgentLog } from "./agent-log.js";
import { agentProcessOptions } from "./agent-options.js";

const { port, namespace, agentId, types, places, logFolder } = agentProcessOptions();
const log = new AgentLog(logFolder, agentId);

async function work(context: TaskContext, input: unknown): Promise<Output> {
  const { taskId, attempt, token, dependencyResults } = context;
  const which = { taskId, attempt, token };
  log.write({ kind: "began", ...which, dependencyResults });
  const order = input as WorkOrder;
  const { afterMs, outcome } = workOn(order, which);
  if (afterMs === null || afterMs > 0) await ended(context, afterMs, order.do === "stubborn");
  log.write({ kind: "finished", ...which, status: outcome.status });
  context.reportUsage({ cost: 1, tokens: { input: 1, output: 1 }, model: "none" });
  if (outcome.status === "completed") return outcome.output;
  const { type, message, nonRetryable } = outcome.error;
  throw new TaskFailure(message, { type, ...(nonRetryable === undefined ? {} : { nonRetryable }) });
}

/** Resolves when the work is done; rejects when it is told to stop, unless it does not care. */
function ended(
  { signal, taskId, attempt, token }: TaskContext,
  afterMs: number | null,
  isDeaf: boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      signal.removeEventListener("abort", stop);
      resolve();
    };
    const timer = afterMs === null ? null : setTimeout(() => finish(), afterMs);
    const stop = (): void => {
      const { kind } = signal.reason as AttemptStopped;
      // Whoever drains hands back what does not end in time; that attempt does not count.
      if (kind === "shutdown") log.write({ kind: "released", taskId, attempt, token });
      if (isDeaf) return;
      if (timer !== null) clearTimeout(timer);
      if (kind === "cancelled") log.write({ kind: "finished", taskId, attempt, token, status: "cancelled" });
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}

const self = agent(agentId, {
  servers: `nats://127.0.0.1:${port}`,
  namespace,
  tasks: Object.fromEntries(types.map((type) => [type, work])),
  maxConcurrentTasks: places,
  drainTimeoutMs: 500,
});
drainOnSignals(self);
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
try {
  await self.start();
  await self.closed;
  process.exit(0);
} catch (error) {
  // Its supervisor starts another, as it would after a crash.
  if (!(error instanceof PerdureError)) throw error;
  process.exit(3);
}
