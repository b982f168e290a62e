import { expect, it } from "vitest";
import { Liveness } from "../../src/scheduler/liveness.js";
import { agentId } from "../support/given.js";

const id = agentId("k-1");
const startedAt = 1_000_000;
const limits = { unhealthyThresholdMs: 3_000, lostThresholdMs: 6_000 };
/** From here on the grace after a start is over. */
const settledAt = startedAt + 2 * limits.lostThresholdMs;

const verdictsAt = (liveness: Liveness, monotonicNow: number) =>
  [...liveness.overdue(monotonicNow)].map(({ verdict, silentMs }) => [verdict, silentMs]);

function heardAt(monotonicAt: number): Liveness {
  const liveness = new Liveness(limits, startedAt);
  liveness.heard(id, monotonicAt, 42);
  return liveness;
}

it.each<[string, number, [string, number][]]>([
  ["nothing is wrong just before the unhealthy threshold", 2_999, []],
  ["it is silent from the unhealthy threshold on", 3_000, [["silent", 3_000]]],
  ["it is only silent just before the lost threshold", 5_999, [["silent", 5_999]]],
  ["it is lost from the lost threshold on", 6_000, [["lost", 6_000]]],
])("%s", (_what, silentMs, verdicts) => {
  expect(verdictsAt(heardAt(settledAt), settledAt + silentMs)).toEqual(verdicts);
});

it("is over with one sign of life", () => {
  const liveness = heardAt(settledAt);
  liveness.heard(id, settledAt + 5_000, 43);
  expect(verdictsAt(liveness, settledAt + 7_000)).toEqual([]);
});

it.each<[string, (liveness: Liveness) => void]>([
  ["it knows from the store only", (liveness) => liveness.watch(id, startedAt)],
  ["it heard of right after its start", (liveness) => liveness.heard(id, startedAt + 1, 42)],
])("loses no agent %s before twice the lost threshold", (_what, know) => {
  const liveness = new Liveness(limits, startedAt);
  know(liveness);
  expect([verdictsAt(liveness, settledAt - 1)[0]?.[0], verdictsAt(liveness, settledAt)[0]?.[0]]).toEqual([
    "silent",
    "lost",
  ]);
});

it("gives no work to an agent that is silent after a start, long before it is lost", () => {
  const liveness = new Liveness(limits, startedAt);
  liveness.watch(id, startedAt);
  expect(verdictsAt(liveness, startedAt + limits.unhealthyThresholdMs)).toEqual([["silent", 3_000]]);
});

it("counts no silence from before the observer came back", () => {
  const liveness = heardAt(settledAt);
  liveness.resume(settledAt + 60_000);
  const after = (ms: number) => verdictsAt(liveness, settledAt + 60_000 + ms);
  expect([after(0), after(2_999), after(3_000), after(6_000)]).toEqual([
    [],
    [],
    [["silent", 3_000]],
    [["lost", 6_000]],
  ]);
});

it("never looks further back for having come back twice", () => {
  const liveness = heardAt(settledAt);
  liveness.resume(settledAt + 60_000);
  liveness.resume(settledAt + 50_000);
  expect(verdictsAt(liveness, settledAt + 62_000)).toEqual([]);
});

it("goes by the monotonic clock, whatever the wall clock says", () => {
  const liveness = heardAt(settledAt);
  liveness.heard(id, settledAt + 1_000, Number.MAX_SAFE_INTEGER);
  liveness.heard(id, settledAt + 2_000, 0);
  expect([verdictsAt(liveness, settledAt + 4_000), liveness.seenAt(id)]).toEqual([[], 0]);
});

it("shows when an agent was seen and with what metrics, once it was heard of", () => {
  const liveness = new Liveness(limits, startedAt);
  liveness.watch(id, startedAt);
  const before = [liveness.seenAt(id), liveness.metricsOf(id)];
  liveness.heard(id, startedAt + 1, 42, { load: 0.5 });
  liveness.heard(id, startedAt + 2, 43);
  expect([before, liveness.seenAt(id), liveness.metricsOf(id)]).toEqual([[null, {}], 43, { load: 0.5 }]);
});

it("does not set back the clock of an agent that it watches already", () => {
  const liveness = heardAt(settledAt);
  liveness.watch(id, settledAt + 5_000);
  expect(verdictsAt(liveness, settledAt + 6_000)).toEqual([["lost", 6_000]]);
});

it("says nothing of an agent that was forgotten", () => {
  const liveness = heardAt(settledAt);
  liveness.forget(id);
  expect(verdictsAt(liveness, settledAt + 60_000)).toEqual([]);
});
