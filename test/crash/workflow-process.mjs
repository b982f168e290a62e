/**
 * A workflow worker, or the agent of its tasks, in a process of its own, from the compiled code. Argument: {servers,
 * namespace, id, role}. Says "registered"; takes {replay: {taskId, history}} and says {replayed: {taskId, fault}}.
 */
import { agent, worker } from "../../dist/src/index.js";
import { createLogger } from "../../dist/src/logger.js";
import { replay } from "../../dist/src/testing/index.js";
import { workflows } from "./mixed-workflows.mjs";

const { id, role, ...options } = JSON.parse(process.argv[2]);
const logger = createLogger("silent");
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", async ({ replay: { taskId, history } }) => {
  const outcome = await replay({ workflows, history });
  process.send({ replayed: { taskId, fault: outcome.ok ? null : outcome.error.message } });
});
if (role === "agent") {
  const tasks = { double: (_, input) => input * 2 };
  await agent(id, { ...options, tasks, maxConcurrentTasks: 50, logger }).start();
} else await worker({ ...options, id, workflows, maxCachedRuns: 20, logger });
process.send("registered");
