/**
 * Agents that answer at once, in one process: what is measured is the engine around them.
 *
 * node dist/bench/echo-agent.js ID SERVER [PLACES [COUNT [alike|different]]]
 *
 * `different`: each has a capability of its own besides, as in a fleet where no two are the same.
 */
import { agent } from "perdure";
import { createLogger } from "../src/logger.js";
import { reportOnRequest } from "./own-report.js";
import { inParallel } from "./statistics.js";

const [id, servers, places = "100", count = "1", kind = "alike"] = process.argv.slice(2);
if (id === undefined || servers === undefined) throw new Error("usage: echo-agent ID SERVER [PLACES [COUNT [KIND]]]");

const fail = async (): Promise<never> => {
  throw new Error("as asked");
};
const hold = (_: unknown, input: unknown): Promise<unknown> =>
  new Promise((resolve) => setTimeout(resolve, Number(input), null));
const echoes = Array.from({ length: Number(count) }, (_, index) => {
  const agentId = count === "1" ? id : `${id}-${index}`;
  const own = kind === "different" ? [`only-${agentId}`] : [];
  return agent(agentId, {
    servers,
    maxConcurrentTasks: Number(places),
    capabilities: ["echo", "fail", "hold", ...own],
    logger: createLogger("error"),
    tasks: { echo: async (_ctx, input) => input, fail, hold },
  });
});
reportOnRequest();
process.once("SIGTERM", () => {
  for (const echo of echoes) void echo.drain();
});
// All at once, a thousand connections would outlast their time-out on a busy machine.
await inParallel(echoes.length, 50, async (index) => echoes[index]?.start());
process.stdout.write("ready\n");
await Promise.all(echoes.map((echo) => echo.closed));
process.exit();
