import { expect, it } from "vitest";
import { type AgentEvent, agentMachine } from "../../src/machines/agent.machine.js";
import type { Effect } from "../../src/machines/effect.js";
import { stepAgent } from "../../src/machines/step.js";
import type { AgentChange, AgentRecord } from "../../src/protocol/agent-record.js";
import { agentStates } from "../../src/protocol/system-message.js";
import { agentId, givenAgent, givenRegistration } from "../support/given.js";
import { branchTaken, coverageOf, declaredBranches, declaredEvents, undeclaredPairs } from "./transition-coverage.js";

const at = 10_000;
const registration = givenRegistration({ capabilities: ["ocr", "gpu"], maxConcurrentTasks: 4, metadata: { rack: 7 } });
const described: AgentChange = { capabilities: ["ocr", "gpu"], maxConcurrentTasks: 4, metadata: { rack: 7 } };

const event = {
  registeredAgain: { type: "RegisteredAgain", at, registration },
  replaced: { type: "Replaced", at, registration, instanceId: "process-2", flappingWindowMs: 5_000 },
  flappingEnded: { type: "FlappingEnded", at },
  heard: { type: "Heard", at },
  silent: { type: "Silent", at, reason: "no heartbeat for 60.0 s" },
  undeliverable: { type: "Undeliverable", at, reason: "nobody listens" },
  lost: { type: "LostThresholdPassed", at, reason: "no heartbeat for 300.0 s" },
  drainStarted: { type: "DrainStarted", at },
  departed: { type: "Departed", at },
} as const satisfies Record<string, AgentEvent>;

const supersede: Effect = { kind: "orderAgent", agentId: agentId("k-1"), state: "superseded", incarnation: 1 };
const comeBack: AgentChange = { ...described, instanceId: "process-2", incarnation: 2, registeredAt: at };
const nextIncarnation: AgentChange = { ...comeBack, takeovers: [at] };
const lost: AgentChange = { state: "lost", reason: "no heartbeat for 300.0 s", endedAt: at };
const gone: AgentChange = { state: "gone", reason: "said goodbye", endedAt: at };
const draining: AgentChange = { state: "draining", reason: "drains: finishes what it has and takes no new work" };

interface Row {
  readonly sentence: string;
  readonly given: AgentRecord;
  readonly event: AgentEvent;
  readonly change: AgentChange;
  readonly effects: readonly Effect[];
}

function of(
  given: AgentRecord,
  ...rows: readonly (readonly [sentence: string, event: AgentEvent, change: AgentChange, effects?: readonly Effect[]])[]
): Row[] {
  return rows.map(([sentence, event, change, effects = []]) => ({
    sentence: `${given.state}: ${sentence}`,
    given,
    event,
    change,
    effects,
  }));
}

const unhealthy = givenAgent({ state: "unhealthy", reason: "no heartbeat for 60.0 s" });
const drains = givenAgent({ state: "draining", reason: "drains: finishes what it has and takes no new work" });
const lostAgent = givenAgent({ state: "lost", reason: "no heartbeat for 300.0 s", endedAt: 5_000 });
/** Three takeovers within the window, and one before it. */
const takeovers = [5_000, 5_001, 6_000, 9_999];
const flaps: AgentChange = {
  state: "unhealthy",
  takeovers: [5_001, 6_000, 9_999, at],
  reason:
    "AGENT_ID_FLAPPING: more than 3 processes took this id from each other in a short time; it gets no work until that ends",
};
const flapping = givenAgent({ state: "unhealthy", ...flaps });
const goneAgent = givenAgent({ state: "gone", reason: "said goodbye", endedAt: 5_000 });

const rows: Row[] = [
  ...of(
    givenAgent(),
    ["takes over what the same process says of itself now", event.registeredAgain, described],
    ["starts the next incarnation and tells the one before", event.replaced, nextIncarnation, [supersede]],
    ["hears from itself without consequence", event.heard, {}],
    ["becomes unhealthy when it is silent", event.silent, { state: "unhealthy", reason: "no heartbeat for 60.0 s" }],
    ["becomes unhealthy when nobody listens", event.undeliverable, { state: "unhealthy", reason: "nobody listens" }],
    ["is lost after a long silence", event.lost, lost],
    ["drains when it says so", event.drainStarted, draining],
    ["is gone when it says goodbye", event.departed, gone],
  ),
  ...of(
    unhealthy,
    ["is healthy when it registers again", event.registeredAgain, { ...described, state: "healthy", reason: null }],
    [
      "is healthy as the next incarnation, and tells the one before",
      event.replaced,
      { ...nextIncarnation, state: "healthy", reason: null },
      [supersede],
    ],
    ["is healthy at one sign of life", event.heard, { state: "healthy", reason: null }],
    ["keeps the first reason when it stays silent", event.silent, {}],
    ["keeps the first reason when nobody listens either", event.undeliverable, {}],
    ["is lost after a long silence", event.lost, lost],
    ["drains when it says so", event.drainStarted, draining],
    ["is gone when it says goodbye", event.departed, gone],
  ),
  ...of(givenAgent({ takeovers }), [
    "gets no work where too many processes take its id",
    event.replaced,
    { ...nextIncarnation, ...flaps },
    [supersede],
  ]),
  ...of(
    flapping,
    ["is not revived by a heartbeat while its id is taken in turn", event.heard, {}],
    ["is not revived by the process that has its id while that is so", event.registeredAgain, described],
    [
      "goes on getting no work when the next process takes its id",
      event.replaced,
      { ...comeBack, takeovers: [6_000, 9_999, at, at] },
      [supersede],
    ],
    ["is healthy when its id was left alone", event.flappingEnded, { state: "healthy", takeovers: [], reason: null }],
  ),
  ...of(givenAgent({ state: "draining", takeovers }), [
    "gets no work where too many processes take its id",
    event.replaced,
    { ...nextIncarnation, ...flaps },
    [supersede],
  ]),
  ...of(
    drains,
    ["goes on draining when the same process registers again", event.registeredAgain, described],
    [
      "is healthy as the next incarnation, and tells the one before",
      event.replaced,
      { ...nextIncarnation, state: "healthy", reason: null },
      [supersede],
    ],
    ["goes on draining when it is heard of", event.heard, {}],
    ["goes on draining when it is silent", event.silent, {}],
    ["goes on draining when nobody listens", event.undeliverable, {}],
    ["may say more than once that it drains", event.drainStarted, {}],
    ["is lost after a long silence", event.lost, lost],
    ["is gone when it says goodbye", event.departed, gone],
  ),
  ...of(
    lostAgent,
    [
      "comes back as the next incarnation only",
      event.replaced,
      { ...comeBack, takeovers: [], state: "healthy", reason: null, endedAt: null },
    ],
    ["is not revived by a heartbeat", event.heard, {}],
    ["is not revived by its drain", event.drainStarted, {}],
    ["is gone when it says goodbye after all", event.departed, gone],
  ),
  ...of(
    goneAgent,
    [
      "comes back as the next incarnation only",
      event.replaced,
      { ...comeBack, takeovers: [], state: "healthy", reason: null, endedAt: null },
    ],
    ["is not revived by a heartbeat", event.heard, {}],
    ["is not revived by its drain", event.drainStarted, {}],
    ["may say goodbye more than once", event.departed, {}],
  ),
];

it.each(rows)("$sentence", ({ given, event, change, effects }) => {
  expect(stepAgent(given, event)).toEqual({ accepted: true, change, effects });
});

it("keeps no metadata of a process that no longer says any", () => {
  const bare = { ...event.registeredAgain, registration: givenRegistration() };
  expect(stepAgent(givenAgent({ metadata: { rack: 7 } }), bare)).toMatchObject({ change: { metadata: null } });
});

const coverage = coverageOf(
  agentMachine,
  rows.map(({ given, event }) => branchTaken(agentMachine, given.state, given, event)),
);

it(`has a row for ${coverage.percent} % of the agent machine's ${declaredBranches(agentMachine).length} transitions`, () => {
  expect(coverage).toEqual({ percent: 100, missing: [] });
});

it("knows every event that the machine declares", () => {
  expect([...new Set(rows.map((row) => row.event.type))].sort()).toEqual(declaredEvents(agentMachine).sort());
});

const anyEvent = new Map<string, AgentEvent>(Object.values(event).map((one) => [one.type, one]));

it.each(undeclaredPairs(agentMachine))("$state: refuses $event and stays as it is", ({ state, event }) => {
  const record = givenAgent({ state: state as AgentRecord["state"] });
  const untouched = structuredClone(record);
  const step = stepAgent(record, anyEvent.get(event) as AgentEvent);
  expect({ step, record }).toEqual({ step: { accepted: false }, record: untouched });
});

it("has exactly the states that are stored", () => {
  expect(Object.keys(agentMachine.states).sort()).toEqual([...agentStates].sort());
});
