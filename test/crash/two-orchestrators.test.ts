/** Two orchestrator processes on one namespace: one leads, and what the other does is nothing. */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";
import { givenScene, Held, type Scene } from "./scene.js";

const nats = useNats();

const journalEnd = async (scene: Scene): Promise<number> => (await scene.client.status()).journalSequence ?? 0;

it("lets a second one stand by, and take over when the leader is killed", async () => {
  const scene = await givenScene(nats);
  const leader = await scene.startOrchestrator();
  const held = new Held();
  await scene.startAgent("k-1", { hold: held.handler });
  await scene.submit({ taskId: "t-1", type: "hold" });
  await scene.untilState("t-1", "running");
  const standby = scene.launchOrchestrator();
  await standby.untilSaid("standing by");
  const standsBySince = performance.now();
  await until("a lease that was not renewed would be over", () => performance.now() > standsBySince + 2_000);
  expect(standby.said).toEqual(["standing by"]);

  await leader.kill();
  await standby.untilSaid("leading");
  held.release();

  expect(await scene.untilEnded("t-1")).toMatchObject({ state: "completed", attempt: 1 });
});

it("hands over at once when the leader is stopped", async () => {
  const scene = await givenScene(nats, { settings: { leaseMs: 60_000 } });
  const leader = await scene.startOrchestrator();
  const standby = scene.launchOrchestrator();
  await standby.untilSaid("standing by");

  await leader.stop();
  const stoppedAt = performance.now();
  await standby.untilSaid("leading");

  expect(await leader.ended).toBe("exit 0");
  // Of a lease that would have lasted a minute.
  expect(performance.now() - stoppedAt).toBeLessThan(10_000);
});

it("changes nothing when a leader that stood still wakes up behind its successor", async () => {
  const scene = await givenScene(nats, { heartbeatMs: 300 });
  const former = await scene.startOrchestrator();
  const held = new Held();
  await scene.startAgent("k-1", { hold: held.handler });
  // Due while the former leader stands still: it will want to end the attempt when it wakes up.
  await scene.submit({ taskId: "due", type: "hold", timeoutMs: 1_000, retry: { maximumAttempts: 1 } });
  await scene.untilState("due", "running");
  const successor = scene.launchOrchestrator();
  await successor.untilSaid("standing by");

  await former.freeze();
  await successor.untilSaid("leading");
  await scene.untilState("due", "timed_out");
  // What the former leader does not know, and what it hears of it as soon as it wakes up.
  await scene.startAgent("k-2", { late: held.handler });
  await scene.submit({ taskId: "late", type: "late" });
  await scene.untilState("late", "running");
  const orders = await heartbeatOfHandWrittenAgent(scene);
  const { leadingSince } = await scene.client.status();
  former.thaw();
  await until("the former leader stands by", () => former.said.filter((word) => word === "standing by").length === 2);

  expect(await scene.client.get("late")).toMatchObject({ state: "running", agentId: "k-2", attempt: 1 });
  expect(held.aborted).toEqual(["due"]);
  expect(orders).toEqual([]);
  held.release();
  expect(await scene.untilEnded("late")).toMatchObject({ state: "completed", attempt: 1 });
  expect(await scene.client.status()).toMatchObject({ leadingSince });

  // It leads again when it is its turn, with what its successor made of the state.
  const end = await journalEnd(scene);
  await successor.stop();
  await untilHolds(
    "the former leader leads",
    () => former.said.filter((word) => word === "leading").length,
    (n) => n === 2,
  );
  expect(await journalEnd(scene)).toBeGreaterThan(end);
  expect(await scene.client.get("due")).toMatchObject({ state: "timed_out", attempt: 1 });
  expect(await scene.client.get("late")).toMatchObject({ state: "completed", output: "late held" });
});

/** Registers an agent that asks for no replies, and lets it be heard once more; returns the orders it gets from then on. */
async function heartbeatOfHandWrittenAgent(scene: Scene): Promise<string[]> {
  const { connection, subjects } = scene;
  const agentId = "by-hand" as Parameters<typeof subjects.agentStatus>[0];
  const envelope = { messageId: randomUUID(), timestamp: Date.now() };
  const orders: string[] = [];
  const confirmed: string[] = [];
  connection.subscribe(subjects.agentStatus(agentId), (message) => {
    const { status } = JSON.parse(Buffer.from(message.data).toString()) as { status: { state: string } };
    if (status.state === "registered") confirmed.push(status.state);
    else orders.push(status.state);
  });
  const registration = { agentId, capabilities: ["late"], maxConcurrentTasks: 1 };
  connection.publish(subjects.agentRegister, JSON.stringify({ ...envelope, registration }));
  await until("the agent is registered", () => confirmed.length > 0);
  connection.publish(subjects.agentHeartbeat(agentId), JSON.stringify({ ...envelope, agentId, metrics: {} }));
  await connection.flush();
  return orders;
}
