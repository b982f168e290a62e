/** A leader that is paused while it takes over wakes up to a store that somebody else leads. */
import { expect, it } from "vitest";
import { subjectOfKey } from "../../src/jetstream/bucket-names.js";
import { silentLogger } from "../../src/logger.js";
import { startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { newNamespace, useNats } from "../support/nats.js";

const nats = useNats();

it("does not take what its successor wrote for damage, and stands by again", async () => {
  const namespace = newNamespace();
  const successor = await nats.connect();
  let terms = 0;
  const orchestrator = await startOrchestrator({
    servers: nats.url,
    settings: { namespace },
    logger: silentLogger,
    onMilestone: async (milestone) => {
      if (milestone !== "fences taken") return;
      terms += 1;
      if (terms > 1) return;
      const flush = JSON.stringify({ flushId: "successor.0", lastResult: null, facts: [] });
      const appended = await successor.request(subjectsOf(namespace).journal, flush, { timeoutMs: 5_000 });
      const { seq } = JSON.parse(new TextDecoder().decode(appended.data)) as { readonly seq: number };
      const agent = { agentId: "k-1", state: "healthy", instanceId: "one", incarnation: 1, capabilities: ["ocr"] };
      const record = { ...agent, maxConcurrentTasks: 1, registeredAt: Date.now() };
      const key = subjectOfKey(topologyOf(namespace).agents.bucket, "k-1");
      await successor.request(key, JSON.stringify({ sequence: seq, record }), { timeoutMs: 5_000 });
    },
  });
  await Promise.race([orchestrator.leading.catch(() => undefined), orchestrator.closed]);
  const { state } = orchestrator;
  await orchestrator.stop();

  expect([state, terms]).toEqual(["leading", 2]);
});
