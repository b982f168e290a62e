import fc from "fast-check";
import { expect, it } from "vitest";
import { Ledger } from "../../../src/core/ledger.js";
import type { AgentRecord } from "../../../src/protocol/agent-record.js";
import type { Command } from "../../../src/protocol/command.js";
import { Fact } from "../../../src/protocol/fact.js";
import type { RunRecord } from "../../../src/protocol/run-record.js";
import { encodeStored, StoredRun } from "../../../src/protocol/stored-record.js";
import { endedStates, type TaskRecord } from "../../../src/protocol/task-record.js";
import { activity, child, complete, fail, Scripted, step, timer, WORKER } from "./scripted.js";

const asJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const pick = <T>(list: readonly T[], die: number): T | undefined => list[die % Math.max(1, list.length)];

interface Act {
  readonly kind: keyof typeof acts;
  readonly dice: readonly number[];
}

const workflows = (engine: Scripted): string[] =>
  [...engine.core.ledger.runs.all()].map(({ record }) => record.spec.workflowId);

/** What some code could ask for at this moment. */
function commands(engine: Scripted, id: string, dice: readonly number[]): Command[] {
  const { lastSeq, updates, timers, activities, steps } = engine.run(id);
  const [a = 0, b = 0, c = 0] = dice;
  const seq = lastSeq + 1;
  const asked = engine.activation(id)?.updates ?? [];
  const options: (Command | null)[] = [
    timer(seq, 1 + (b % 4_000)),
    activity(
      seq,
      b % 2 === 0 ? { retry: { maximumAttempts: 2 } } : { scheduleToCloseMs: 3_000, heartbeatTimeoutMs: 900 },
    ),
    step(seq, b % 2 === 0 ? { token: `step-token-${seq}-${"x".repeat(16)}` } : { retry: { maximumAttempts: 2 } }),
    child(seq, `${id.slice(0, 8)}-c${b % 3}`, {
      parentClosePolicy: pick(["terminate", "abandon", "requestCancel"], c),
    }),
    {
      type: "SignalExternalWorkflow",
      seq,
      workflowId: (pick(workflows(engine), b) ?? id) as never,
      signalName: "poke",
      childOnly: false,
    },
    {
      type: "RequestCancelExternalWorkflow",
      seq,
      workflowId: (pick(workflows(engine), c) ?? id) as never,
      childOnly: false,
    },
    ...Object.keys(timers).map((key): Command => ({ type: "CancelTimer", seq: Number(key) })),
    ...Object.keys(activities).map((key): Command => ({ type: "RequestCancelActivityTask", seq: Number(key) })),
    ...Object.keys(steps).map((key): Command => ({ type: "CancelStep", seq: Number(key) })),
    ...asked.map(({ updateId }): Command => ({ type: "AcceptUpdate", updateId })),
    ...Object.entries(updates).flatMap(([updateId, { state }]): Command[] =>
      state === "accepted" ? [{ type: "CompleteUpdate", updateId, output: b }] : [],
    ),
    { type: "UpsertSearchAttributes", searchAttributes: { at: b } },
    { type: "RecordPatch", patchId: `p-${b}`, deprecated: false },
  ];
  return [pick(options, a)].flatMap((command) => command ?? []);
}

const out = (engine: Scripted): string[] => workflows(engine).filter((id) => engine.isOut(id));

const acts = {
  start(engine: Scripted, [a = 0, b = 0, c = 0]: readonly number[]) {
    engine.start(`o-${a % 4}`, {
      ...(b % 3 === 0 ? { retry: { maximumAttempts: 3, initialIntervalMs: 300 } } : {}),
      ...(b % 4 === 0 ? { timeoutMs: 9_000 } : {}),
      ...(c % 5 === 0 ? { scheduleToCloseMs: 20_000 } : {}),
      ...(c % 3 === 0 ? { idReusePolicy: "allowDuplicate" as const } : {}),
      ...(c % 7 === 0 ? { idConflictPolicy: "terminateExisting" as const } : {}),
      ...(c % 2 === 0 ? { signal: { name: "poke" } } : {}),
      ...(b % 5 === 0
        ? { dependencies: workflows(engine).filter((id) => id === `o-${c % 3}` && id !== `o-${a % 4}`) }
        : {}),
      memo: { a },
    });
  },
  answer(engine: Scripted, dice: readonly number[]) {
    const id = pick(out(engine), dice[1] ?? 0);
    if (id !== undefined) engine.answer(id, commands(engine, id, dice));
  },
  close(engine: Scripted, [a = 0, b = 0]: readonly number[]) {
    const id = pick(out(engine), a);
    if (id === undefined) return;
    engine.answer(id, [
      pick([complete(b), fail(), { type: "ContinueAsNew", input: b }, { type: "CancelWorkflow" }] as Command[], b) ??
        complete(),
    ]);
  },
  failActivation(engine: Scripted, [a = 0]: readonly number[]) {
    const id = pick(out(engine), a);
    if (id !== undefined) engine.failActivation(id);
  },
  signal(engine: Scripted, [a = 0, b = 0]: readonly number[]) {
    engine.signal(pick(workflows(engine), a) ?? "nobody", "poke", `s-${b % 40}`);
  },
  query(engine: Scripted, [a = 0, b = 0]: readonly number[]) {
    engine.query(pick(workflows(engine), a) ?? "nobody", `q-${b}`);
  },
  update(engine: Scripted, [a = 0, b = 0]: readonly number[]) {
    engine.update(pick(workflows(engine), a) ?? "nobody", `u-${b % 20}`);
  },
  cancel(engine: Scripted, [a = 0]: readonly number[]) {
    engine.cancel(pick(workflows(engine), a) ?? "nobody");
  },
  terminate(engine: Scripted, [a = 0]: readonly number[]) {
    engine.terminate(pick(workflows(engine), a) ?? "nobody");
  },
  reset(engine: Scripted, [a = 0, b = 0, c = 0]: readonly number[]) {
    const id = pick(workflows(engine), a);
    if (id === undefined) return;
    const ends = engine.events(id).filter(({ type }) => type === "WorkflowTaskCompleted");
    const to = pick(ends, b)?.eventId ?? "lastWorkflowTask";
    engine.reset(id, { to, reapply: pick(["all", "signals", "updates", "none"] as const, c) ?? "all" });
  },
  result(engine: Scripted, [a = 0, b = 0]: readonly number[]) {
    const held = [...engine.core.ledger.tasks.values()].filter(
      ({ spec, token }) => token !== null && (spec.role?.kind === "activity" || spec.role?.kind === "step"),
    );
    const record = pick(held, a);
    if (record === undefined) return;
    if (b % 4 === 0) engine.fail(record.spec.taskId);
    else engine.complete(record.spec.taskId, b);
  },
  register(engine: Scripted, [a = 0, b = 0]: readonly number[]) {
    engine.register(pick(["k-w", "k-x"], a) ?? "k-w", { ...WORKER, instanceId: `process-${b % 3}` });
    engine.register("k-1", { maxConcurrentTasks: 3, instanceId: `process-${b % 2}` });
  },
  pass(engine: Scripted, [a = 0]: readonly number[]) {
    engine.pass(1 + (a % 5_000));
  },
  lose(engine: Scripted, [a = 0]: readonly number[]) {
    engine.lose(pick(["k-w", "k-x", "k-1"], a) ?? "k-w");
  },
};

const kinds = Object.keys(acts) as Act["kind"][];
const anyLife = fc.array(
  fc.record({
    kind: fc.constantFrom<Act["kind"]>(
      ...kinds,
      "start",
      "start",
      "answer",
      "answer",
      "answer",
      "answer",
      "result",
      "signal",
      "register",
    ),
    dice: fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
  }),
  { maxLength: 80, size: "max" },
);

function played(life: readonly Act[], engine = Scripted.withWorker()): Scripted {
  engine.register("k-1", { maxConcurrentTasks: 3 });
  for (const { kind, dice } of life) acts[kind](engine, dice);
  return engine;
}

interface Stored {
  readonly tasks: readonly TaskRecord[];
  readonly agents: readonly AgentRecord[];
  readonly runs: readonly RunRecord[];
}

/** As the buckets would hold it: open runs only, and through their encoding. */
function storedOf({ tasks, agents, runs }: Ledger): Stored {
  const records = [...runs.all()].map(({ record }) => record);
  return {
    tasks: asJson([...tasks.values()]),
    agents: asJson([...agents.values()]),
    runs: records.map((record) => StoredRun.parse(JSON.parse(encodeStored(1, record))).record),
  };
}

function restored(facts: readonly Fact[], stored: Stored = { tasks: [], agents: [], runs: [] }): Ledger {
  const ledger = new Ledger();
  for (const record of stored.tasks) ledger.restoreTask(asJson(record));
  for (const record of stored.agents) ledger.restoreAgent(asJson(record));
  for (const record of stored.runs) ledger.runs.restore(asJson(record));
  for (const fact of facts) ledger.restoreFact(asJson(fact));
  ledger.deriveIndexes();
  return ledger;
}

function imageOf(ledger: Ledger) {
  const runs = [...ledger.runs.all()];
  const due: [string, unknown][] = [];
  const end = Number.MAX_SAFE_INTEGER;
  const { deadlines } = ledger.runs;
  for (let next = deadlines.takeDue(end); next !== null; next = deadlines.takeDue(end)) {
    due.push([next.item.record.runId, next.deadline]);
  }
  return {
    tasks: new Map([...ledger.tasks].map(([id, record]) => [id, asJson(record)])),
    runs: new Map(runs.map(({ record }) => [record.runId, asJson(record)])),
    stuck: new Set([...ledger.runs.stuck].map(({ runId }) => runId)),
    deadlines: new Map(due),
    counts: { ...ledger.counts },
    needed: new Set(
      [...ledger.tasks.values()].filter((record) => ledger.isNeeded(record)).map(({ spec }) => spec.taskId),
    ),
  };
}

it("makes of all facts the runs that they came from, with their histories", () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      const engine = played(life);
      const tails = (ledger: Ledger) =>
        new Map([...ledger.runs.all()].map(({ record, tail }) => [record.runId, asJson(tail)]));
      const again = restored(engine.facts);
      expect(tails(again)).toEqual(tails(engine.core.ledger));
      expect(imageOf(again)).toEqual(imageOf(engine.core.ledger));
    }),
    { numRuns: 200 },
  );
});

it("makes of the records at any moment and the facts behind it the state at the end", () => {
  fc.assert(
    fc.property(anyLife, anyLife, (before, after) => {
      const engine = played(before);
      const stored = storedOf(engine.core.ledger);
      const known = engine.decisions.length;
      played(after, engine);
      const rest = engine.decisions.slice(known).flatMap(({ facts }) => facts);
      expect(imageOf(restored(rest, stored))).toEqual(imageOf(engine.core.ledger));
    }),
    { numRuns: 150 },
  );
});

it("writes facts that lose nothing on their way through JSON and their schema", () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      for (const fact of played(life).facts) expect(Fact.parse(fact)).toEqual(fact);
    }),
    { numRuns: 60 },
  );
});

const isEndOfChild = /^ChildWorkflowExecution(Completed|Failed|Canceled|Terminated|TimedOut)$/;

it("numbers the events of each history without a gap, ends each child once, and closes it once", () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      const engine = played(life);
      for (const { record, tail } of engine.core.ledger.runs.all()) {
        expect(tail.map(({ eventId }) => eventId)).toEqual(tail.map((_, index) => index + 1));
        expect(record.lastEventId).toBe(tail.length);
        const ends = tail.flatMap((event) => (isEndOfChild.test(event.type) && "seq" in event ? [event.seq] : []));
        expect(new Set(ends).size).toBe(ends.length);
      }
      const closed = engine.facts.flatMap((fact) =>
        fact.type === "RunAdvanced" && fact.set.state !== undefined && !["running", "stuck"].includes(fact.set.state)
          ? [fact.runId]
          : [],
      );
      expect(new Set(closed).size).toBe(closed.length);
    }),
    { numRuns: 100 },
  );
});

/** A worker that closes whatever it is shown, an agent that completes whatever it gets, and time enough. */
function finish(engine: Scripted): void {
  for (let round = 0; round < 60; round += 1) {
    engine.register("k-w", { ...WORKER, instanceId: "last" });
    engine.register("k-1", { maxConcurrentTasks: 100, instanceId: "last" });
    for (const record of [...engine.core.ledger.tasks.values()]) {
      const { role, taskId } = record.spec;
      if (record.state !== "assigned" && record.state !== "running") continue;
      if (role?.kind === "workflowTask") engine.answer(role.workflowId, [complete()]);
      else engine.complete(taskId);
    }
    engine.pass(5_000);
  }
}

it("brings every run to its one end, whichever decision was the last one on disk", () => {
  fc.assert(
    fc.property(anyLife, fc.nat(), (life, die) => {
      const engine = played(life);
      const durable = engine.decisions.slice(0, die % (engine.decisions.length + 1)).flatMap(({ facts }) => facts);
      const successor = new Scripted({ ledger: restored(durable), now: engine.now + 1 });
      successor.core.resume(successor.now);
      successor.core.place(successor.now);
      // Each run goes on once its code has something to see.
      for (const id of workflows(successor)) successor.signal(id, "last");
      finish(successor);
      const { ledger } = successor.core;
      const unended = [...ledger.tasks.values()].filter(({ state }) => !endedStates.has(state));
      expect(unended.map(({ spec, state }) => [spec.taskId, spec.role?.kind, state])).toEqual([]);
      const scheduled = (facts: readonly Fact[]) =>
        facts.flatMap((fact) =>
          fact.type === "TaskSubmitted" && fact.spec.role?.seq !== undefined ? [fact.spec.taskId] : [],
        );
      const members = scheduled([...durable, ...successor.facts]);
      expect(new Set(members).size).toBe(members.length);
      expect(imageOf(restored([...durable, ...successor.facts]))).toEqual(imageOf(ledger));
    }),
    { numRuns: 200 },
  );
});

it("brings the update of a start to the code after a change of leaders, until that has answered for the first time", () => {
  const before = Scripted.withWorker();
  before.start("o-1", { update: { name: "change", updateId: "u-1" } });
  before.signal("o-1", "go");
  const updatesAfter = (facts: readonly Fact[]) => {
    const successor = new Scripted({ ledger: restored(facts), now: before.now + 1 });
    successor.core.resume(successor.now);
    successor.register("k-w", { ...WORKER, instanceId: "next" });
    successor.core.place(successor.now);
    return successor.activation("o-1")?.updates;
  };
  expect(updatesAfter(before.facts)).toMatchObject([{ updateId: "u-1", name: "change" }]);
  // A rejected one leaves no trace, and must not be decided on anew.
  const failure = { type: "Error", message: "no" };
  before.answer("o-1", [{ type: "RejectUpdate", updateId: "u-1", failure }, timer(1, 1_000)]);
  expect(updatesAfter(before.facts)).toEqual([]);
});
