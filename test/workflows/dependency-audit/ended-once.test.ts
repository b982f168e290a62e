import type { TaskView } from "perdure";
import { describe, expect, it } from "vitest";
import { taskSummary } from "../../../src/core/views.js";
import { checkEndedOnce } from "../../../workflows/dependency-audit/ended-once.js";
import { givenTask, taskId } from "../../support/given.js";

/** Answers as an orchestrator that has these tasks; everything else has completed. */
function clientThatSays(states: Readonly<Record<string, TaskView["state"]>> = {}) {
  const asked: string[] = [];
  return {
    asked,
    get: async (id: string): Promise<TaskView> => {
      asked.push(id);
      const view = taskSummary(givenTask({ state: "completed", spec: { taskId: taskId(id) } }), "");
      return { ...view, state: states[id] ?? "completed" };
    },
  };
}

const taskIds = Array.from({ length: 200 }, (_, index) => `t-${index}`);

describe("the check that every task ended exactly once", () => {
  it("asks for each task by name, once", async () => {
    const client = clientThatSays();

    const { faults, tasks } = await checkEndedOnce({ client, taskIds, endsCounted: 200, announcedTwice: [] });

    expect(faults).toEqual([]);
    expect(tasks).toHaveLength(200);
    expect([...client.asked].sort()).toEqual([...taskIds].sort());
  });

  it("names what did not complete, what ended twice, and ends that were not counted", async () => {
    const client = clientThatSays({ "t-7": "running", "t-9": "failed" });

    const { faults } = await checkEndedOnce({ client, taskIds, endsCounted: 201, announcedTwice: ["t-3"] });

    expect(faults).toEqual([
      "2 tasks did not complete (t-7, t-9)",
      "1 tasks ended more than once (t-3)",
      "the orchestrator counts 201 ends of 200 tasks",
    ]);
  });
});
