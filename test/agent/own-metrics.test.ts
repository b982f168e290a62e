import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { givenScene } from "./given.js";

const nats = useNats();

it("sends its author's figures with each heartbeat, as they are then", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  orchestrator.answerRegistration = ({ agentId }) => ({
    status: { ...orchestrator.registered(agentId), heartbeatIntervalMs: 20 },
  });
  let framesCaptured = 0;
  await agent("cam-1", { metrics: () => ({ framesCaptured: ++framesCaptured }) }).start();

  await until("two heartbeats arrive", () => orchestrator.heartbeats.length >= 2);

  expect(orchestrator.heartbeats.slice(0, 2)).toMatchObject([
    { metrics: { framesCaptured: 1, activeTasks: 0 } },
    { metrics: { framesCaptured: 2, activeTasks: 0 } },
  ]);
});

it.each<[string, () => Record<string, number>]>([
  ["no numbers", () => ({ fps: Number.NaN, frames: Number.POSITIVE_INFINITY, shown: 3 })],
  [
    "too many",
    () => ({ shown: 3, ...Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`m${index}`, 1])) }),
  ],
  ["a name without end", () => ({ shown: 3, ["x".repeat(200_000)]: 1 })],
  ["one of the engine's names", () => ({ shown: 3, activeTasks: 99 })],
])("heartbeats with what is usable of %s", async (_, metrics) => {
  const { orchestrator, agent } = await givenScene(nats);
  await agent("cam-1", { metrics }).start();

  await until("a heartbeat arrives", () => orchestrator.heartbeats.length > 0);

  const sent = orchestrator.heartbeats[0]?.metrics ?? {};
  expect(sent).toMatchObject({ shown: 3, activeTasks: 0 });
  expect(JSON.stringify(sent).length).toBeLessThan(10_000);
});

it("heartbeats also where its author's figures cannot be read", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const metrics = (): Record<string, number> => {
    throw new Error("the camera is unplugged");
  };
  await agent("cam-1", { metrics }).start();

  await until("a heartbeat arrives", () => orchestrator.heartbeats.length > 0);

  expect(orchestrator.heartbeats[0]?.metrics).toMatchObject({ activeTasks: 0 });
});
