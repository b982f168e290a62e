import { expect, it } from "vitest";
import { Engine } from "./engine.js";

function givenFull(places: number, ...agents: string[]): Engine {
  const engine = new Engine();
  for (const id of agents) engine.register(id, { maxConcurrentTasks: places });
  engine.submit(Array.from({ length: places * agents.length }, (_, index) => ({ taskId: `busy-${index}` })));
  engine.submit({ taskId: "t-1" });
  return engine;
}

function givenAlone(requiredCapabilities: string[], ...capabilities: string[][]): Engine {
  const engine = new Engine();
  capabilities.forEach((list, index) => {
    engine.register(`k-${index + 1}`, { capabilities: list });
  });
  engine.submit({ taskId: "t-1", requiredCapabilities });
  return engine;
}

function givenWaiting(end: (engine: Engine) => void = () => undefined): Engine {
  const engine = new Engine();
  engine.register("cam-2");
  engine.submit([{ taskId: "t-7" }, { taskId: "t-1", dependencies: ["t-7"] }]);
  end(engine);
  return engine;
}

function givenAssigned(act: (engine: Engine) => void, task = {}): Engine {
  const engine = new Engine();
  engine.register("cam-2");
  engine.submit({ taskId: "t-1", ...task });
  act(engine);
  return engine;
}

it.each<[string, () => Engine, string]>([
  ["no agent at all", () => givenAlone(["ocr"]), "no agent is registered; it needs ocr"],
  ["no agent and no need", () => givenAlone([]), "no agent is registered"],
  ["a capability that nobody has", () => givenAlone(["gpu"], ["ocr"]), "no agent has capability gpu"],
  ["one of two capabilities missing", () => givenAlone(["ocr", "gpu"], ["ocr"]), "no agent has capability gpu"],
  [
    "two capabilities missing",
    () => givenAlone(["gpu", "tpu"], ["ocr"]),
    "no agent has any of the capabilities gpu, tpu",
  ],
  [
    "capabilities on different agents",
    () => givenAlone(["ocr", "gpu"], ["ocr"], ["gpu"]),
    "no single agent has all of the capabilities ocr, gpu",
  ],
  ["every agent full", () => givenFull(4, "k-1", "k-2", "k-3"), "all 3 agents with ocr are full: 12/12"],
  ["the only agent full", () => givenFull(1, "k-1"), "the only agent with ocr is full: 1/1"],
  [
    "any agent, but the only one is full",
    () => {
      const engine = new Engine();
      engine.register("k-1");
      engine.submit([{ taskId: "t-0" }, { taskId: "t-1", requiredCapabilities: [] }]);
      return engine;
    },
    "the only agent is full: 1/1",
  ],
  [
    "an agent that holds more than it may",
    () => {
      const engine = givenFull(2, "k-1");
      engine.register("k-1", { maxConcurrentTasks: 1 });
      return engine;
    },
    "the only agent with ocr is full: 2/1",
  ],
  [
    "agents that take no work",
    () => {
      const engine = new Engine();
      engine.register("k-1");
      engine.register("k-2");
      engine.report("k-1", { state: "draining" });
      engine.pass(3_000, { silent: ["k-2"] });
      engine.submit({ taskId: "t-1" });
      return engine;
    },
    "all 2 agents with ocr are draining or unhealthy",
  ],
  [
    "a lost agent, which counts for nothing",
    () => {
      const engine = new Engine();
      engine.register("k-1");
      engine.lose("k-1");
      engine.submit({ taskId: "t-1" });
      return engine;
    },
    "no agent is registered; it needs ocr",
  ],
  [
    "the orchestrator's own limit",
    () => {
      const engine = new Engine({ settings: { maxConcurrentTasks: 1 } });
      engine.register("k-1", { maxConcurrentTasks: 5 });
      engine.submit([{ taskId: "t-0" }, { taskId: "t-1" }]);
      return engine;
    },
    "the orchestrator runs 1 tasks at once and maxConcurrentTasks is 1",
  ],
  ["a dependency that was sent out", () => givenWaiting(), "waits for t-7 (assigned to cam-2)"],
  ["a dependency that runs", () => givenWaiting((engine) => engine.accept("t-7")), "waits for t-7 (running on cam-2)"],
  [
    "a dependency that is being cancelled",
    () => givenWaiting((engine) => engine.cancel("t-7")),
    "waits for t-7 (running on cam-2)",
  ],
  ["a dependency between attempts", () => givenWaiting((engine) => engine.fail("t-7")), "waits for t-7 (backoff)"],
  [
    "many dependencies, of which it names three",
    () => {
      const engine = new Engine();
      const ids = ["a", "b", "c", "d", "e"];
      engine.submit([...ids.map((id) => ({ taskId: id })), { taskId: "t-1", dependencies: ids }]);
      return engine;
    },
    "waits for a (queued), b (queued), c (queued) and 2 more of its 5 dependencies",
  ],
  [
    "an answer that is outstanding",
    () => {
      const engine = givenAssigned(() => undefined);
      engine.now += 1_200;
      return engine;
    },
    "was sent to cam-2 1.2 s ago and waits for its answer",
  ],
  [
    "an agent at work",
    () => {
      const engine = givenAssigned((given) => given.accept("t-1"));
      engine.now += 3_000;
      return engine;
    },
    "has been running on cam-2 for 3.0 s",
  ],
  [
    "a cancellation",
    () => givenAssigned((engine) => engine.cancel("t-1")),
    "runs on cam-2, which was told to stop and has 5.0 s to answer",
  ],
  [
    "a retry",
    () => givenAssigned((engine) => engine.fail("t-1")),
    "attempt 1 of 3 failed (the printer is out of paper); the next attempt starts in 1.0 s",
  ],
  [
    "a retry without end",
    () => givenAssigned((engine) => engine.fail("t-1"), { retry: { maximumAttempts: 0 } }),
    "attempt 1 failed (the printer is out of paper); the next attempt starts in 1.0 s",
  ],
  [
    "an agent that handed it back",
    () =>
      givenAssigned((engine) => engine.report("cam-2", { state: "released", taskId: engine.task("t-1").spec.taskId })),
    "was handed back by cam-2; the next attempt starts in 0.5 s",
  ],
  [
    "nothing, completed",
    () => givenAssigned((engine) => engine.complete("t-1")),
    "completed on cam-2 with attempt 1 of 3",
  ],
  [
    "nothing, failed",
    () => givenAssigned((engine) => engine.fail("t-1"), { retry: { maximumAttempts: 1 } }),
    "the printer is out of paper",
  ],
  [
    "nothing, timed out",
    () => givenAssigned((engine) => engine.pass(1_000), { scheduleToCloseMs: 1_000 }),
    "task t-1 did not end within 1000 ms of its submission",
  ],
])("says what a task waits for: %s", (_what, given, sentence) => {
  expect(given().explain("t-1")).toBe(sentence);
});

it("says that a task is next when nothing is in its way but the next look at the queue", () => {
  const engine = new Engine();
  engine.submit({ taskId: "t-1" });
  engine.core.register(
    { agentId: "k-1" as never, capabilities: ["ocr"], maxConcurrentTasks: 1 },
    { at: 1, monotonicAt: 1 },
  );
  expect(engine.explain("t-1")).toBe("is next in line");
});

it("goes by each agent's own places, not by their sum", () => {
  const engine = givenFull(3, "k-1");
  engine.register("k-1", { maxConcurrentTasks: 1 });
  engine.core.register(
    { agentId: "k-2" as never, capabilities: ["ocr"], maxConcurrentTasks: 1 },
    { at: 1, monotonicAt: 1 },
  );
  expect(engine.explain("t-1")).toBe("is next in line");
});
