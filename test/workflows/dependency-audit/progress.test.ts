import { describe, expect, it } from "vitest";
import type { ObservedEvent } from "../../../workflows/dependency-audit/audit-events.js";
import { Progress, type ProgressStatus } from "../../../workflows/dependency-audit/progress.js";
import { progressLine } from "../../../workflows/dependency-audit/progress-line.js";

const completed = (taskId: string, agentId: string): ObservedEvent => ({
  type: "TASK_COMPLETED",
  taskId,
  agentId,
  attempt: 1,
});

function givenStatus(change: Partial<ProgressStatus> = {}): ProgressStatus {
  return {
    queuedTaskCount: 0,
    activeTaskCount: 0,
    waitingTaskCount: 0,
    backoffTaskCount: 0,
    endedTaskCounts: { completed: 0 },
    agentStatuses: [],
    ...change,
  };
}

describe("progress", () => {
  it("counts ends by agent as their events come", () => {
    const progress = new Progress(4, ["a", "b"]);

    progress.noteEvent(completed("t-1", "a"));
    progress.noteEvent(completed("t-2", "a"));
    progress.noteEvent({ type: "TASK_FAILED", taskId: "t-3" });
    progress.noteEvent({ type: "AGENT_UNHEALTHY", agentId: "b" });

    expect(progress.ended).toBe(3);
    expect(progress.picture.agents.map(({ agentId, completed: count }) => [agentId, count])).toEqual([
      ["a", 2],
      ["b", 0],
    ]);
  });

  it("believes the status where events were missed", () => {
    const progress = new Progress(4, ["a"]);
    progress.noteEvent(completed("t-1", "a"));

    progress.noteStatus(givenStatus({ endedTaskCounts: { completed: 2, failed: 1 } }));

    expect(progress.ended).toBe(3);
  });

  it("names tasks whose end was announced twice", () => {
    const progress = new Progress(2, ["a", "b"]);

    for (const event of [completed("t-1", "a"), completed("t-2", "a"), completed("t-1", "b")])
      progress.noteEvent(event);

    expect(progress.endedTwice).toEqual(["t-1"]);
  });

  it("shows a killed agent as killed until the orchestrator has noticed", () => {
    const progress = new Progress(2, ["a"]);
    const said = (state: "healthy" | "unhealthy" | "lost") =>
      progress.noteStatus(givenStatus({ agentStatuses: [{ agentId: "a", state, activeTaskCount: 1 }] }));
    const shown = () => progress.picture.agents.map(({ state }) => state);
    progress.noteKilled("a");

    said("healthy");
    expect(shown()).toEqual(["killed"]);
    said("unhealthy");
    expect(shown()).toEqual(["unhealthy"]);
    said("lost");
    expect(shown()).toEqual(["lost"]);
  });
});

describe("the line of progress", () => {
  const picture = {
    total: 283,
    ended: 96,
    queued: 178,
    inHand: 8,
    waiting: 1,
    betweenAttempts: 0,
    agents: [
      { agentId: "auditor-1", state: "healthy", completed: 66, inHand: 3 },
      { agentId: "auditor-2", state: "killed", completed: 25, inHand: 3 },
      { agentId: "auditor-3", state: "healthy", completed: 5, inHand: 0 },
    ],
  } as const;

  it("shows counts by state and by agent", () => {
    expect(progressLine(picture, 200)).toBe(
      "[######--------------] 96/283 ended | 178 queued, 8 in hand, 1 waiting | " +
        "auditor-1 66+3 auditor-2 25+3 killed auditor-3 5",
    );
  });

  it.each([
    [100, "[######--------------] 96/283 ended | 178 queued, 8 in hand, 1 waiting"],
    [40, "[######--------------] 96/283 ended"],
    [10, ""],
  ])("leaves out what does not fit into %d columns", (width, line) => {
    expect(progressLine(picture, width)).toBe(line);
  });
});
