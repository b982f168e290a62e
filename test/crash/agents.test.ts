/** Agents that die, stand still and come back, as real processes. */
import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";
import type { Child } from "./child.js";
import { givenScene, Held, type Scene } from "./scene.js";

const nats = useNats();

/** Unhealthy after 600 ms of silence, lost after 1.2 s, and nobody lost in the first 2.4 s of a leader. */
const heartbeatMs = 200;
const lostAfterMs = 6 * heartbeatMs;

async function untilStarted(agent: Child, taskIds: readonly string[]): Promise<void> {
  await untilHolds(
    `the agent starts ${taskIds.join(", ")}`,
    () => agent.saidOf("started").map((started) => (started as { taskId: string }).taskId),
    (started) => taskIds.every((taskId) => started.includes(taskId)),
  );
}

/** Until the leader has watched long enough to call anybody lost. */
async function untilLossesCount(since: number): Promise<void> {
  await until("the leader may call agents lost", () => performance.now() > since + 2 * lostAfterMs);
}

function untilLost(scene: Scene, agentId: string): Promise<void> {
  return until(`${agentId} is lost`, () =>
    scene.eventsOf("AGENT_LOST").some(({ payload }) => payload?.["agentId"] === agentId),
  );
}

it("gives a killed agent no more work at once, and its tasks to another when it counts as lost", async () => {
  // Slower, so that what comes of the refused delivery is over long before anything comes of silence.
  const scene = await givenScene(nats, { heartbeatMs: 2 * heartbeatMs });
  await scene.startOrchestrator();
  const doomed = await scene.startAgentProcess("k-1");
  const retry = { initialIntervalMs: 20 };
  await scene.submit({ taskId: "t-1", type: "hold", retry });
  await scene.submit({ taskId: "t-2", type: "hold", retry });
  await untilStarted(doomed, ["t-1", "t-2"]);
  await scene.untilState("t-1", "running");
  await scene.untilState("t-2", "running");
  await scene.startAgent("k-2", { hold: () => "by k-2" });

  await doomed.kill();
  await scene.submit({ taskId: "t-3", type: "hold" }, "k-1");

  // The server said that nobody listens; long before the silence says that the agent is lost.
  expect(await scene.untilEnded("t-3")).toMatchObject({ agentId: "k-2", attempt: 1 });
  expect(scene.eventsOf("AGENT_UNHEALTHY").map(({ payload }) => payload?.["agentId"])).toContain("k-1");
  expect(scene.eventsOf("AGENT_LOST")).toEqual([]);
  expect(await scene.client.get("t-1")).toMatchObject({ state: "running", agentId: "k-1", attempt: 1 });

  await untilLost(scene, "k-1");
  for (const taskId of ["t-1", "t-2"]) {
    expect(await scene.untilEnded(taskId)).toMatchObject({ state: "completed", output: "by k-2", attempt: 2 });
  }
});

it("declares nobody lost after the orchestrator itself stood still", async () => {
  // A lease that outlasts the pause: with a shorter one the orchestrator would start anew.
  const scene = await givenScene(nats, { heartbeatMs, settings: { leaseMs: 10_000 } });
  const orchestrator = await scene.startOrchestrator();
  const startedAt = performance.now();
  await scene.startAgent("k-1", { quick: () => "done" });
  await untilLossesCount(startedAt);
  const { leadingSince } = await scene.client.status();

  await orchestrator.freeze();
  const frozenAt = performance.now();
  await until(
    "agents have been unheard for longer than the limit",
    () => performance.now() > frozenAt + 1.3 * lostAfterMs,
  );
  orchestrator.thaw();

  const after = await scene.client.status();
  const seenAt = after.agentStatuses[0]?.lastSeenAt ?? 0;
  await until("the agent is heard again", async () => {
    const [agent] = (await scene.client.status()).agentStatuses;
    return (agent?.lastSeenAt ?? 0) > seenAt + heartbeatMs;
  });
  expect(await scene.client.status()).toMatchObject({
    leadingSince,
    agentStatuses: [{ state: "healthy", incarnation: 1 }],
  });
  expect(scene.eventsOf("AGENT_LOST")).toEqual([]);
});

it("refuses the result of an agent that stood still while its task was given away", async () => {
  const scene = await givenScene(nats, { heartbeatMs });
  await scene.startOrchestrator();
  const zombie = await scene.startAgentProcess("k-1");
  await scene.submit({ taskId: "t-1", type: "hold", retry: { initialIntervalMs: 20 } });
  await untilStarted(zombie, ["t-1"]);
  const held = new Held();
  await scene.startAgent("k-2", { hold: held.handler });

  await zombie.freeze();
  await untilLost(scene, "k-1");
  await until("k-2 has the task", () => held.contexts.length === 1);
  await scene.untilState("t-1", "running");
  zombie.tell("finish");
  zombie.thaw();

  await until("its result is refused", () => scene.eventsOf("RESULT_REFUSED", "t-1").length > 0);
  expect(await scene.client.get("t-1")).toMatchObject({ state: "running", agentId: "k-2", attempt: 2 });
  held.release();
  expect(await scene.untilEnded("t-1")).toMatchObject({ state: "completed", output: "t-1 held", attempt: 2 });
  expect(held.aborted).toEqual([]);
});

it("gives the tasks of a killed process to its successor of the same id at once", async () => {
  const scene = await givenScene(nats);
  await scene.startOrchestrator();
  const first = await scene.startAgentProcess("k-1");
  await scene.submit({ taskId: "t-1", type: "hold", retry: { initialIntervalMs: 60_000 } });
  await untilStarted(first, ["t-1"]);

  await first.kill();
  const second = await scene.startAgentProcess("k-1");
  second.tell("finish");

  expect(await scene.untilEnded("t-1")).toMatchObject({
    state: "completed",
    attempt: 2,
    output: `t-1 by k-1 in ${second.pid}`,
  });
});
