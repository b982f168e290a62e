import fc from "fast-check";
import { expect, it } from "vitest";
import type { AgentRecord } from "../../src/protocol/agent-record.js";
import type { AgentId } from "../../src/protocol/ids.js";
import { agentStates } from "../../src/protocol/system-message.js";
import { AgentPool } from "../../src/scheduler/agent-pool.js";
import { agentId, givenAgent } from "../support/given.js";

function givenPool(...agents: readonly Partial<AgentRecord>[]): AgentPool {
  const pool = new AgentPool();
  for (const [index, agent] of agents.entries()) pool.put(givenAgent({ agentId: agentId(`k-${index + 1}`), ...agent }));
  return pool;
}

it("gives equal work to equal agents, one after the other", () => {
  const pool = givenPool({ maxConcurrentTasks: 2 }, { maxConcurrentTasks: 2 }, { maxConcurrentTasks: 2 });
  const chosen = Array.from({ length: 6 }, () => {
    const id = pool.choose(["ocr"]) as AgentId;
    pool.occupy(id);
    return id;
  });
  expect(chosen).toEqual(["k-1", "k-2", "k-3", "k-1", "k-2", "k-3"]);
});

it("measures load by the share of places taken", () => {
  const pool = givenPool({ maxConcurrentTasks: 2 }, { maxConcurrentTasks: 8 });
  pool.occupy(agentId("k-1"));
  for (let task = 0; task < 3; task += 1) pool.occupy(agentId("k-2"));
  expect(pool.choose(["ocr"])).toBe("k-2");
});

it("chooses among idle agents the one that waited longest", () => {
  const pool = givenPool({}, {});
  pool.occupy(agentId("k-1"));
  pool.release(agentId("k-1"));
  expect(pool.choose(["ocr"])).toBe("k-2");
});

it.each(agentStates.filter((state) => state !== "healthy"))("never chooses an agent that is %s", (state) => {
  const pool = givenPool({ state });
  expect([pool.choose(["ocr"]), pool.isFree(agentId("k-1"), ["ocr"])]).toEqual([undefined, false]);
});

it.each<[string[], string[], boolean]>([
  [["ocr"], ["ocr"], true],
  [["ocr", "gpu"], ["gpu"], true],
  [["ocr", "gpu"], ["gpu", "ocr"], true],
  [["ocr"], ["ocr", "gpu"], false],
  [[], ["ocr"], false],
  [["ocr"], [], true],
  [[], [], true],
])("with capabilities %j serves a task that needs %j: %s", (capabilities, needed, serves) => {
  expect(givenPool({ capabilities }).choose(needed) !== undefined).toBe(serves);
});

it("forgets what an agent could do when it registers with other capabilities while it works", () => {
  const pool = givenPool({ maxConcurrentTasks: 2 });
  pool.occupy(agentId("k-1"));
  pool.put(givenAgent({ capabilities: ["scan"], maxConcurrentTasks: 2 }));
  expect([pool.choose(["ocr"]), pool.choose(["scan"]), pool.activeCountOf(agentId("k-1"))]).toEqual([
    undefined,
    "k-1",
    1,
  ]);
});

it("gives an agent that registers with fewer places nothing until it has one free", () => {
  const pool = givenPool({ maxConcurrentTasks: 3 });
  for (let task = 0; task < 3; task += 1) pool.occupy(agentId("k-1"));
  pool.put(givenAgent({ maxConcurrentTasks: 1 }));
  const chosen = Array.from({ length: 3 }, () => {
    pool.release(agentId("k-1"));
    return pool.choose(["ocr"]);
  });
  expect(chosen).toEqual([undefined, undefined, "k-1"]);
});

it("avoids an agent as long as there is another, however loaded", () => {
  const pool = givenPool({ maxConcurrentTasks: 2 }, { maxConcurrentTasks: 2 });
  pool.occupy(agentId("k-2"));
  const other = pool.choose(["ocr"], agentId("k-1"));
  pool.occupy(agentId("k-2"));
  expect([other, pool.choose(["ocr"], agentId("k-1"))]).toEqual(["k-2", "k-1"]);
});

it("finds a crew that came after it was asked for", () => {
  const pool = givenPool();
  expect(pool.choose(["gpu"])).toBeUndefined();
  pool.put(givenAgent({ capabilities: ["gpu"] }));
  expect(pool.choose(["gpu"])).toBe("k-1");
});

it("takes no place of an agent whose record is gone", () => {
  const pool = givenPool();
  pool.occupy(agentId("k-9"));
  pool.release(agentId("k-9"));
  expect(pool.activeCountOf(agentId("k-9"))).toBe(0);
});

interface Member {
  readonly record: AgentRecord;
  active: number;
  lastAssignment: number;
}

/** By the rule, without a data structure. */
function naiveChoice(members: Iterable<Member>, needed: readonly string[], avoid: string): string | undefined {
  const able = [...members].filter(
    ({ record, active }) =>
      record.state === "healthy" &&
      active < record.maxConcurrentTasks &&
      needed.every((name) => record.capabilities.includes(name)),
  );
  able.sort(
    (a, b) =>
      Number(a.record.agentId === avoid) - Number(b.record.agentId === avoid) ||
      a.active / a.record.maxConcurrentTasks - b.active / b.record.maxConcurrentTasks ||
      a.lastAssignment - b.lastAssignment ||
      (a.record.agentId < b.record.agentId ? -1 : 1),
  );
  return able[0]?.record.agentId;
}

const anyCapabilities = fc.subarray(["ocr", "gpu", "scan"]);
const anyAct = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    which: fc.nat({ max: 7 }),
    capabilities: anyCapabilities,
    maxConcurrentTasks: fc.integer({ min: 1, max: 4 }),
    state: fc.constantFrom(...agentStates, "healthy" as const, "healthy" as const),
  }),
  fc.record({ kind: fc.constant("assign" as const), needed: anyCapabilities, avoid: fc.nat({ max: 9 }) }),
  fc.record({ kind: fc.constant("assign" as const), needed: fc.constant([]), avoid: fc.nat({ max: 9 }) }),
  fc.record({ kind: fc.constant("release" as const), which: fc.nat({ max: 7 }) }),
  fc.record({ kind: fc.constant("drop" as const), which: fc.nat({ max: 7 }) }),
);

type Act = typeof anyAct extends fc.Arbitrary<infer T> ? T : never;

/** Does the same to a pool and to a plain list of its members; `expectSame` sees each choice of both. */
function play(acts: readonly Act[], expectSame: (chosen: string | undefined, naive: string | undefined) => void) {
  const pool = new AgentPool();
  const members = new Map<AgentId, Member>();
  let assignments = 0;
  const assign = (needed: readonly string[], avoid: AgentId): void => {
    const chosen = pool.choose(needed, avoid);
    expectSame(chosen, naiveChoice(members.values(), needed, avoid));
    const member = chosen === undefined ? undefined : members.get(chosen);
    if (chosen === undefined || member === undefined) return;
    pool.occupy(chosen);
    assignments += 1;
    member.active += 1;
    member.lastAssignment = assignments;
  };
  for (const act of acts) {
    if (act.kind === "assign") {
      assign(act.needed, agentId(`k-${act.avoid}`));
      continue;
    }
    const id = agentId(`k-${act.which}`);
    const member = members.get(id);
    if (act.kind === "put") {
      const { capabilities, maxConcurrentTasks, state } = act;
      const record = givenAgent({ agentId: id, capabilities, maxConcurrentTasks, state });
      pool.put(record);
      members.set(id, { active: 0, lastAssignment: 0, ...member, record });
    } else if (act.kind === "release" && member !== undefined && member.active > 0) {
      pool.release(id);
      member.active -= 1;
    } else if (act.kind === "drop" && member?.active === 0) {
      pool.drop(id);
      members.delete(id);
    }
  }
  return { pool, members };
}

it("agrees with a plain search, whoever comes, goes, changes or fills up", () => {
  fc.assert(
    fc.property(fc.array(anyAct, { maxLength: 120 }), (acts) => {
      const { pool, members } = play(acts, (chosen, naive) => expect(chosen).toBe(naive));
      for (const [id, { active }] of members) expect(pool.activeCountOf(id)).toBe(active);
    }),
    { numRuns: 300 },
  );
});
