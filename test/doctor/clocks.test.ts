/** Clocks that are off, told apart by whose it is. */
import { expect, it } from "vitest";
import type { Clock } from "../../src/clock.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { codesOf, findingOf, givenConnection, givenOrchestrator, lookAt } from "./examined.js";

const nats = useNats();

const clockAheadBy = (ms: number): Clock => ({ now: () => Date.now() + ms, monotonicNow: () => performance.now() });

const clockCodes = (report: Awaited<ReturnType<typeof lookAt>>) =>
  codesOf(report).filter((code) => code.startsWith("clocks/"));

it("finds nothing where all clocks agree", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });

  expect(clockCodes(await lookAt(nats.url, { namespace }))).toEqual([]);
});

it.each([5_000, -5_000])("says that the orchestrator's clock is off by %i ms", async (offsetMs) => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace }, { clock: clockAheadBy(offsetMs) });

  const { details } = findingOf(await lookAt(nats.url, { namespace }), "clocks/orchestrator");

  expect(Math.abs(Number(details["offsetMs"]) - offsetMs)).toBeLessThan(500);
});

it("calls hours a problem", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace }, { clock: clockAheadBy(7_200_000) });

  expect(clockCodes(await lookAt(nats.url, { namespace }))).toEqual(["clocks/far-off"]);
});

it("says that this machine's clock is off where server and orchestrator agree", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });

  const report = await lookAt(nats.url, { namespace, clock: clockAheadBy(7_200_000) });

  expect(clockCodes(report)).toEqual(["clocks/this-machine"]);
  expect(findingOf(report, "clocks/this-machine").summary).toMatch(/ahead of those of server .+ and the orchestrator/);
});

it("says that the server's clock and ours differ where nobody else can tell", async () => {
  const report = await lookAt(nats.url, { namespace: newNamespace(), clock: clockAheadBy(-5_000) });

  expect(clockCodes(report)).toEqual(["clocks/server"]);
});

it.each<[what: string, offsetMs: number, codes: readonly string[]]>([
  ["names the agent whose clock is off", -90_000, ["clocks/agent"]],
  ["names the agent whose clock is ahead", 2_000, ["clocks/agent"]],
  ["has nothing against heartbeats that were late", -2_000, []],
])("%s", async (_what, offsetMs, codes) => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const agent = await givenConnection(nats.url);
  const heartbeat = () =>
    agent.publish(
      `${namespace}.agent.k-1.heartbeat`,
      JSON.stringify({ messageId: crypto.randomUUID(), timestamp: Date.now() + offsetMs, agentId: "k-1" }),
    );
  let isOver = false;
  const looking = lookAt(nats.url, { namespace, observeMs: 300 }).finally(() => {
    isOver = true;
  });
  await until("the doctor has looked", () => {
    heartbeat();
    return isOver;
  });

  expect(clockCodes(await looking)).toEqual(codes);
});
