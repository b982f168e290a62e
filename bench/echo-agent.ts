/** An agent process that answers at once: what is measured is the engine around it. */
import { agent, drainOnSignals } from "perdure";

const [id, servers, places] = process.argv.slice(2);
if (id === undefined || servers === undefined) throw new Error("usage: echo-agent ID SERVER [PLACES]");

const echo = agent(id, {
  servers,
  maxConcurrentTasks: Number(places ?? "100"),
  tasks: { echo: async (_ctx, input) => input },
});
drainOnSignals(echo);
await echo.start();
process.stdout.write("ready\n");
await echo.closed;
