/**
 * An orchestrator in a process of its own, from the compiled code, that can be told to die of SIGKILL at a milestone.
 * Argument: {servers, settings, logLevel, killAt?}. Says "standing by", "leading", "armed" and {closed} to its parent, takes {killAt} from it.
 */
import { createLogger } from "../../dist/src/logger.js";
import { startOrchestrator } from "../../dist/src/orchestrator/orchestrator.js";

const { servers, settings, logLevel, killAt } = JSON.parse(process.argv[2]);
let deadly = killAt;

const orchestrator = await startOrchestrator({
  servers,
  settings,
  serverSync: "always",
  logger: createLogger(logLevel),
  onMilestone: async (milestone) => {
    if (milestone === "standing by" || milestone === "leading") process.send(milestone);
    if (milestone !== deadly) return;
    // What was published leaves the process after the code that published it: a turn later it is with the kernel.
    if (milestone.startsWith("after ")) await new Promise((resolve) => setImmediate(resolve));
    process.kill(process.pid, "SIGKILL");
    await new Promise(() => undefined);
  },
});
process.on("message", (message) => {
  deadly = message.killAt;
  process.send("armed");
});
// A child does not outlive the test that started it.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("SIGTERM", () => void orchestrator.stop());
const error = await orchestrator.closed;
process.send({ closed: error === undefined ? null : { code: error.code, message: error.message } }, () =>
  process.exit(error === undefined ? 0 : 1),
);
