/**
 * An agent in a process of its own, from the compiled code. Its tasks end when the parent says so, and only then: "finish"
 * ends all it has and will get. Argument: {servers, namespace, id, maxConcurrentTasks}. Says "registered", {started} for each attempt
 * and {closed} to its parent.
 */
import { agent } from "../../dist/src/agent/agent.js";
import { createLogger } from "../../dist/src/logger.js";

const { id, ...options } = JSON.parse(process.argv[2]);
let finish;
const finished = new Promise((resolve) => {
  finish = resolve;
});

const hold = async (context) => {
  process.send({ started: { taskId: context.taskId, attempt: context.attempt } });
  await finished;
  return `${context.taskId} by ${id} in ${process.pid}`;
};
const self = agent(id, { ...options, tasks: { hold }, logger: createLogger("silent") });
process.on("message", () => finish());
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
await self.start();
process.send("registered");
const code = await self.closed.then(
  () => null,
  (error) => error.code,
);
process.send({ closed: code }, () => process.exit(0));
