import { describe, expect, it } from "vitest";
import { Aftermath } from "../../../workflows/dependency-audit/aftermath.js";
import { type ObservedEvent, observed } from "../../../workflows/dependency-audit/audit-events.js";

const killed = "auditor-2";

/** Events as [milliseconds after the kill, event]; all of what is told about them. */
function toldAbout(events: readonly (readonly [number, ObservedEvent])[]): readonly string[] {
  const aftermath = new Aftermath(killed, "audit-1-");
  for (const [afterMs, event] of events) aftermath.observe(event, afterMs);
  return aftermath.takeSentences(Number.POSITIVE_INFINITY).map(({ afterMs, sentence }) => `${afterMs} ${sentence}`);
}

const retrying = (taskId: string, type: string | null): ObservedEvent => ({
  type: "TASK_RETRYING",
  taskId,
  agentId: killed,
  attempt: 1,
  error: type === null ? null : { type, message: "" },
});
const completed = (taskId: string, agentId: string, attempt = 2): ObservedEvent => ({
  type: "TASK_COMPLETED",
  taskId,
  agentId,
  attempt,
});

describe("what is told after a kill", () => {
  it("is what the orchestrator believes of the agent", () => {
    expect(
      toldAbout([
        [100, { type: "AGENT_UNHEALTHY", agentId: killed, reason: "nobody listens on its subject" }],
        [
          6_100,
          {
            type: "AGENT_LOST",
            agentId: killed,
            reason: "no heartbeat for 6.1 s",
            taskIds: ["audit-1-a", "audit-1-b"],
          },
        ],
      ]),
    ).toEqual([
      "100 auditor-2 is unhealthy: nobody listens on its subject; it is given no new work",
      "6100 auditor-2 is lost: no heartbeat for 6.1 s; 2 tasks of its go to others",
    ]);
  });

  it("is who did its tasks instead, once all of them have ended", () => {
    const taken = [
      [6_100, retrying("audit-1-a", "AGENT_LOST")],
      [6_101, retrying("audit-1-b", "AGENT_LOST")],
      [7_200, completed("audit-1-a", "auditor-1")],
    ] as const;

    expect(toldAbout(taken)).toEqual(["6100 took 2 tasks back from auditor-2: their agent is lost (a, b)"]);
    expect(toldAbout([...taken, [7_300, completed("audit-1-b", "auditor-3")]])).toEqual([
      "6100 took 2 tasks back from auditor-2: their agent is lost (a, b)",
      "7300 those 2 tasks were given to auditor-1 (1), auditor-3 (1) and ended there, as attempt 2",
    ]);
  });

  it("tells tasks that came too late for the agent from those that it had", () => {
    expect(
      toldAbout([
        [10, retrying("audit-1-a", null)],
        [20, completed("audit-1-a", "auditor-1", 1)],
      ]),
    ).toEqual([
      "10 took 1 task back from auditor-2: sent to it after its death, they found nobody; not counted as attempts (a)",
      "20 that task was given to auditor-1 (1) and ended there, as attempt 1",
    ]);
  });

  it("names three tasks of many", () => {
    const ids = ["a", "b", "c", "d"];

    expect(toldAbout(ids.map((id) => [5_000, retrying(id, "TASK_NOT_ACCEPTED")] as const))).toEqual([
      "5000 took 4 tasks back from auditor-2: it never answered (a, b, c, …)",
    ]);
  });

  it("is which of its results came too late", () => {
    const refused = { type: "RESULT_REFUSED", agentId: killed, taskId: "a", code: "RESULT_STALE" } as const;

    expect(
      toldAbout([
        [7_000, refused],
        [7_001, refused],
      ]),
    ).toEqual(["7000 refused 2 late results of auditor-2: RESULT_STALE"]);
  });

  it("is nothing about other agents and their tasks", () => {
    expect(
      toldAbout([
        [10, completed("audit-1-a", "auditor-1", 1)],
        [20, { ...retrying("audit-1-b", "AGENT_LOST"), agentId: "auditor-1" }],
        [30, { type: "AGENT_UNHEALTHY", agentId: "auditor-1" }],
      ]),
    ).toEqual([]);
  });

  it("comes in bursts: nothing is told of one while it lasts", () => {
    const aftermath = new Aftermath(killed, "audit-1-");
    aftermath.observe(retrying("a", "AGENT_LOST"), 6_000);
    aftermath.observe(retrying("b", "AGENT_LOST"), 6_150);

    expect(aftermath.takeSentences(6_300)).toEqual([]);
    expect(aftermath.takeSentences(6_350)).toHaveLength(1);
    expect(aftermath.takeSentences(9_000)).toEqual([]);
  });

  it("is over when the agent is given up and its work has ended elsewhere", () => {
    const aftermath = new Aftermath(killed, "audit-1-");
    aftermath.observe(retrying("a", "AGENT_LOST"), 6_000);
    aftermath.observe({ type: "AGENT_LOST", agentId: killed, taskIds: ["a"] }, 6_000);
    aftermath.takeSentences(6_500);
    expect(aftermath.isSettled).toBe(false);

    aftermath.observe(completed("a", "auditor-1"), 7_000);
    aftermath.takeSentences(7_500);
    expect(aftermath.isSettled).toBe(true);
  });
});

it("reads of an event what it can", () => {
  expect(observed({ eventType: "TASK_COMPLETED", payload: { taskId: "a", agentId: "b", attempt: 2 } })).toEqual({
    type: "TASK_COMPLETED",
    taskId: "a",
    agentId: "b",
    attempt: 2,
  });
  expect(observed({ eventType: "SYSTEM_ERROR" })).toEqual({ type: "SYSTEM_ERROR" });
  expect(observed({ eventType: "AGENT_LOST", payload: { taskIds: 3 } })).toEqual({ type: "AGENT_LOST" });
});
