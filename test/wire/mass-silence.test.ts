import { expect, it } from "vitest";
import { livenessFrom } from "../../src/orchestrator/orchestrator-options.js";
import { useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";
import { Engine, type HandWrittenAgent, type Json } from "./peers.js";

const nats = useNats();

const HEARTBEAT_MS = 150;

/** Three agents with a task each, and a fourth without, all of them heartbeating until told otherwise. */
class Fleet implements Disposable {
  readonly engine: Engine;
  readonly busy: HandWrittenAgent[] = [];
  readonly #beats = new Map<HandWrittenAgent, NodeJS.Timeout>();

  constructor(engine: Engine) {
    this.engine = engine;
  }

  static async start(engine: Engine): Promise<{ readonly fleet: Fleet; readonly idle: HandWrittenAgent }> {
    const fleet = new Fleet(engine);
    for (const id of ["k-1", "k-2", "k-3"]) {
      const agent = await engine.agent(id);
      fleet.beat(agent);
      await engine.submitted({ taskId: `t-${id}`, type: "ocr", retry: { initialIntervalMs: 1 } });
      await agent.takeTask();
      fleet.busy.push(agent);
    }
    const idle = await engine.agent("k-4", { maxConcurrentTasks: 5 });
    fleet.beat(idle);
    return { fleet, idle };
  }

  beat(agent: HandWrittenAgent): void {
    this.#beats.set(
      agent,
      setInterval(() => agent.heartbeat(), HEARTBEAT_MS),
    );
  }

  silence(agent: HandWrittenAgent): void {
    clearInterval(this.#beats.get(agent));
  }

  [Symbol.dispose](): void {
    for (const timer of this.#beats.values()) clearInterval(timer);
  }
}

const statesOf = async (engine: Engine) =>
  (await engine.status()).agentStatuses.map(({ agentId, state }) => `${String(agentId)} ${String(state)}`).sort();

it("gives up agents that are killed all at once as soon as any other, for the server says that nobody listens", async () => {
  await using engine = await Engine.start(nats.url, livenessFrom(HEARTBEAT_MS));
  const { fleet, idle } = await Fleet.start(engine);
  using _ = fleet;
  for (const agent of fleet.busy) {
    fleet.silence(agent);
    await agent.nats.close();
  }
  for (let index = 0; index < 3; index += 1) idle.complete(await idle.takeTask(), "done");
  await Promise.all(["t-k-1", "t-k-2", "t-k-3"].map((taskId) => engine.wait(taskId)));
  expect(engine.eventsLike("SYSTEM_ERROR")).toEqual([]);
});

it("holds agents that are connected and fall silent all at once, says so, and gives them up one by one in the end", async () => {
  await using engine = await Engine.start(nats.url, livenessFrom(HEARTBEAT_MS));
  const { fleet, idle } = await Fleet.start(engine);
  using _ = fleet;
  for (const agent of fleet.busy) fleet.silence(agent);

  const { payload } = await engine.event("SYSTEM_ERROR", { code: "OBSERVER_SUSPECT" });
  expect(payload).toMatchObject({ message: expect.stringContaining("3 of 4 agents fell silent at once") });
  expect(await statesOf(engine)).toEqual(["k-1 unhealthy", "k-2 unhealthy", "k-3 unhealthy", "k-4 healthy"]);
  expect(await engine.agentStatus("k-1")).toMatchObject({ reason: expect.stringContaining("OBSERVER_SUSPECT") });
  expect(await engine.ask("health")).toMatchObject({
    status: "degraded",
    components: { agents: { status: "degraded", detail: expect.stringContaining("3 of 4 fell silent at once") } },
  });
  expect(await engine.orchestrator.metrics()).toMatch(/^perdure_agents_held\{.*\} 3$/m);

  for (let index = 0; index < 3; index += 1) idle.complete(await idle.takeTask({ deadlineMs: 40_000 }), "done");
  const ends = await Promise.all(["t-k-1", "t-k-2", "t-k-3"].map((taskId) => engine.wait(taskId)));
  expect(ends.map(({ state, attempt }) => [state, attempt])).toEqual(Array(3).fill(["completed", 2]));
  const losses = engine.eventsLike("AGENT_LOST").map(({ timestamp }: Json) => Number(timestamp));
  expect(losses.slice(1).every((at, index) => at - (losses[index] ?? 0) >= 950)).toBe(true);
});

it("goes on as before when they speak again", async () => {
  await using engine = await Engine.start(nats.url, livenessFrom(HEARTBEAT_MS));
  const { fleet } = await Fleet.start(engine);
  using _ = fleet;
  for (const agent of fleet.busy) fleet.silence(agent);
  await engine.event("SYSTEM_ERROR", { code: "OBSERVER_SUSPECT" });
  for (const agent of fleet.busy) fleet.beat(agent);
  await untilHolds(
    "all are healthy",
    () => statesOf(engine),
    (states) => states.every((state) => state.endsWith(" healthy")),
  );
  expect(await engine.get("t-k-1")).toMatchObject({ state: "running", attempt: 1 });
  await until("nobody is held", async () => /^perdure_agents_held\{.*\} 0$/m.test(await engine.orchestrator.metrics()));
});

it("gives no work to an id that processes take from each other, and says so", async () => {
  await using engine = await Engine.start(nats.url, livenessFrom(1_000));
  const agent = await engine.agent("k-1");
  for (let index = 2; index < 6; index += 1) await agent.register({ instanceId: `process-${index}` });
  await engine.event("SYSTEM_ERROR", { code: "AGENT_ID_FLAPPING", agentId: "k-1" });
  await engine.submitted({ taskId: "t-1", type: "ocr" });
  agent.heartbeat();
  expect(await engine.agentStatus("k-1")).toMatchObject({
    state: "unhealthy",
    reason: expect.stringContaining("AGENT_ID_FLAPPING"),
  });
  expect(await engine.get("t-1")).toMatchObject({ state: "queued" });
  expect(await engine.orchestrator.metrics()).toMatch(
    /^perdure_agent_decisions_total\{decision="AgentFlapping".*\} 1$/m,
  );
});
