import fc from "fast-check";
import { expect, it } from "vitest";
import { Ledger } from "../../src/core/ledger.js";
import type { AgentRecord } from "../../src/protocol/agent-record.js";
import { Fact } from "../../src/protocol/fact.js";
import { endedStates, occupyingStates, type TaskRecord } from "../../src/protocol/task-record.js";
import { givenAgent, givenTask, taskId } from "../support/given.js";
import { Engine } from "./engine.js";
import { anyLife, play } from "./random-life.js";

interface Stored {
  readonly tasks: readonly TaskRecord[];
  readonly agents: readonly AgentRecord[];
}

const nothingStored: Stored = { tasks: [], agents: [] };
const asJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const storedOf = ({ tasks, agents }: Ledger): Stored =>
  asJson({ tasks: [...tasks.values()], agents: [...agents.values()] });

function restored(facts: readonly Fact[], stored: Stored = nothingStored): Ledger {
  const ledger = new Ledger();
  for (const record of stored.tasks) ledger.restoreTask(asJson(record));
  for (const record of stored.agents) ledger.restoreAgent(asJson(record));
  for (const fact of facts) ledger.restoreFact(asJson(fact));
  ledger.deriveIndexes();
  return ledger;
}

/** Everything a leader goes by. Takes the queue and the deadlines apart, so it comes last. */
function imageOf(ledger: Ledger) {
  const tasks = [...ledger.tasks.values()];
  const agents = [...ledger.agents.values()];
  const byId = <T>(entries: readonly (readonly [string, T])[]) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    tasks: byId(tasks.map((record) => [record.spec.taskId, asJson(record)])),
    agents: byId(agents.map((record) => [record.agentId, asJson(record)])),
    counts: { ...ledger.counts },
    agentCounts: { ...ledger.agentCounts },
    places: { ...ledger.pool.places },
    nextOrder: ledger.nextOrder,
    load: byId(agents.map(({ agentId }) => [agentId, ledger.pool.activeCountOf(agentId)])),
    active: byId(
      [...ledger.activeTasks].map(([id, held]) => [id, [...held].map((record) => record.spec.taskId).sort()]),
    ),
    dependents: byId(
      tasks.map(({ spec }) => [spec.taskId, [...(ledger.graph.dependentsOf(spec.taskId) ?? [])].sort()]),
    ),
    queue: byId(queueOf(ledger)),
    deadlines: byId(deadlinesOf(ledger)),
  };
}

function queueOf({ queue }: Ledger): [string, string[]][] {
  return [...queue.lines()].map((line) => {
    const inLine: string[] = [];
    for (let first = line.first(0); first !== undefined; first = line.first(0)) {
      queue.takeFirst(line, first);
      inLine.push(first.spec.taskId);
    }
    return [line.capabilities.join(), inLine];
  });
}

function deadlinesOf({ deadlines }: Ledger): [string, unknown][] {
  const due: [string, unknown][] = [];
  const end = Number.MAX_SAFE_INTEGER;
  for (let next = deadlines.takeDue(end); next !== null; next = deadlines.takeDue(end)) {
    due.push([next.item.spec.taskId, next.deadline]);
  }
  return due;
}

it("makes of all facts the state that they came from", () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      const engine = new Engine();
      play(engine, life);
      expect(imageOf(restored(engine.facts))).toEqual(imageOf(engine.core.ledger));
    }),
    { numRuns: 200 },
  );
});

it("makes of the records at any moment and the facts behind it the state at the end", () => {
  fc.assert(
    fc.property(anyLife, anyLife, (before, after) => {
      const engine = new Engine();
      play(engine, before);
      const stored = storedOf(engine.core.ledger);
      const known = engine.decisions.length;
      play(engine, after);
      const rest = engine.decisions.slice(known).flatMap(({ facts }) => facts);
      expect(imageOf(restored(rest, stored))).toEqual(imageOf(engine.core.ledger));
    }),
    { numRuns: 100 },
  );
});

it("resumes a state that was settled by sending again what is unanswered, and by nothing else", () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      const engine = new Engine();
      play(engine, life);
      const successor = new Engine({ ledger: restored(engine.facts), now: engine.now + 1 });
      const live = imageOf(engine.core.ledger);
      successor.core.resume(successor.now);
      expect(new Set(successor.facts.map((fact) => fact.type))).toEqual(
        new Set(successor.core.ledger.counts.assigned > 0 ? ["TaskResent"] : []),
      );
      const unanswered = live.tasks.filter(([, record]) => ["assigned", "cancelling"].includes(record.state));
      const sent = [...successor.effects("dispatchTask"), ...successor.effects("cancelAttempt")];
      expect(sent.map((effect) => effect.taskId).sort()).toEqual(unanswered.map(([id]) => id));
    }),
    { numRuns: 100 },
  );
});

it("leaves nothing undone, whichever decision was the last one on disk", () => {
  fc.assert(
    fc.property(anyLife, fc.nat(), (life, die) => {
      const engine = new Engine();
      play(engine, life);
      const durable = engine.decisions.slice(0, die % (engine.decisions.length + 1)).flatMap(({ facts }) => facts);
      const successor = new Engine({ ledger: restored(durable), now: engine.now + 1 });
      successor.core.resume(successor.now);

      const { ledger } = successor.core;
      const states = (record: TaskRecord) =>
        record.spec.dependencies.map((id) => ledger.tasks.get(id)?.state ?? "waiting");
      const unsettled = [...ledger.tasks.values()].filter((record) => {
        if (record.state !== "waiting") return false;
        const ofDependencies = states(record);
        return (
          ofDependencies.every((state) => state === "completed") ||
          ofDependencies.some((state) => state !== "completed" && endedStates.has(state))
        );
      });
      const orphans = [...ledger.tasks.values()].filter((record) => {
        if (!occupyingStates.has(record.state) || record.agentId === null) return false;
        const agent = ledger.agents.get(record.agentId);
        return agent?.incarnation !== record.incarnation || agent.state === "lost" || agent.state === "gone";
      });
      expect({ unsettled, orphans }).toEqual({ unsettled: [], orphans: [] });
      expect(imageOf(restored([...durable, ...successor.facts]))).toEqual(imageOf(ledger));
    }),
    { numRuns: 200 },
  );
});

it("writes facts that lose nothing on their way through JSON and their schema", () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      const engine = new Engine();
      play(engine, life);
      for (const fact of engine.facts) expect(Fact.parse(fact)).toEqual(fact);
    }),
    { numRuns: 100 },
  );
});

it.each([null, 0, "", false])("keeps the output %j through a restart", (output) => {
  const engine = new Engine();
  engine.register("k-1");
  engine.submit({ taskId: "t-1" });
  engine.complete("t-1", output);
  expect(restored(engine.facts.map((fact) => Fact.parse(fact))).tasks.get(taskId("t-1"))).toMatchObject({
    state: "completed",
    output,
  });
});

it("passes over facts of a task that was moved to the ended ones already", () => {
  const ledger = restored([{ type: "TaskCompleted", at: 1, taskId: taskId("t-1"), set: { state: "completed" } }]);
  expect(ledger.tasks.size).toBe(0);
});

it("does not start on facts of an agent that nothing introduced", () => {
  const lost: Fact = { type: "AgentLost", at: 1, agentId: givenAgent().agentId, set: { state: "lost" } };
  expect(() => restored([lost])).toThrow("agent k-1, which no record or fact introduced");
});

/** What a crash between two decisions leaves, and what the next leader makes of it. */
it.each<[string, Partial<AgentRecord>, object]>([
  [
    "lost",
    { state: "lost", reason: "no heartbeat for 6.0 s" },
    { state: "backoff", attempt: 1, lostIncarnations: 1, failure: { type: "AGENT_LOST" } },
  ],
  ["gone", { state: "gone" }, { state: "queued", attempt: 1, failure: { type: "AGENT_SUPERSEDED" } }],
  ["a new process", { incarnation: 2 }, { state: "queued", attempt: 1, failure: { type: "AGENT_SUPERSEDED" } }],
])("moves the work that a crash left with an agent that is %s", (_what, agent, task) => {
  const ledger = restored([], { tasks: [givenTask({ state: "assigned" })], agents: [givenAgent(agent)] });
  const engine = new Engine({ ledger });
  engine.core.resume(engine.now);
  expect([engine.task("t-1"), engine.effects("dispatchTask")]).toMatchObject([task, []]);
});

it("moves the work of an agent whose record expired while nobody led", () => {
  const engine = new Engine({ ledger: restored([], { tasks: [givenTask({ state: "running" })], agents: [] }) });
  engine.core.resume(engine.now);
  expect(engine.states("t-1")).toEqual(["queued"]);
});

it("loses no agent that it knows from the store before twice the lost threshold", () => {
  const engine = new Engine({
    ledger: restored([], { tasks: [givenTask({ state: "running" })], agents: [givenAgent()] }),
  });
  engine.core.resume(engine.now);
  engine.pass(11_999, { silent: ["k-1"] });
  const before = [engine.agent("k-1").state, engine.task("t-1").state];
  engine.pass(1, { silent: ["k-1"] });
  expect([before, [engine.agent("k-1").state, engine.task("t-1").state]]).toEqual([
    ["unhealthy", "running"],
    ["lost", "backoff"],
  ]);
});
