/** An orchestrator in a process of its own: says "standing by", then "ready" when it leads. SIGTERM ends it in order. */
import { createLogger } from "../src/logger.js";
import { startOrchestrator } from "../src/orchestrator/orchestrator.js";
import { reportOnRequest } from "./own-report.js";

const [servers, settings] = process.argv.slice(2);
if (servers === undefined || settings === undefined) throw new Error("usage: orchestrator SERVER SETTINGS");

const orchestrator = await startOrchestrator({
  servers,
  settings: JSON.parse(settings),
  serverSync: "always",
  logger: createLogger("warn"),
});
reportOnRequest();
process.once("SIGTERM", () => void orchestrator.stop());
process.stdout.write("standing by\n");
orchestrator.leading.then(
  () => process.stdout.write("ready\n"),
  () => undefined,
);
const error = await orchestrator.closed;
if (error !== undefined) console.error(error);
process.exit(error === undefined ? 0 : 1);
