/** The smallest workflow, end to end on an engine of its own. */
import { expect, it, onTestFinished } from "vitest";
import { connectClient } from "../../../src/client/client.js";
import { silentLogger } from "../../../src/logger.js";
import { startLocalSystem } from "../../../src/testing/local-system.js";
import { replay } from "../../../src/testing/replay.js";
import { worker } from "../../../src/worker/worker.js";
import { hello } from "../../../workflows/hello/workflows.js";

it("greets, and its history replays", async () => {
  const system = await startLocalSystem({ logger: silentLogger });
  onTestFinished(() => system.stop());
  const workflowWorker = await worker({ servers: system.url, workflows: [hello], logger: silentLogger });
  onTestFinished(() => workflowWorker.stop());
  const client = await connectClient({ servers: system.url });
  onTestFinished(() => client.close());

  const run = await client.start(hello, "Ada");

  expect(await run.result()).toBe("Hello, Ada!");
  expect(await replay({ workflows: [hello], history: await run.history() })).toEqual({ ok: true });
});
