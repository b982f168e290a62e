import { expect, it } from "vitest";
import {
  HeardResult,
  KnightResult,
  KnightTask,
  newTaskId,
  taskIdInSubject,
} from "../../../workflows/knights/messages.js";
import { readTaskMessage } from "../../../workflows/knights/task-message.js";
import { givenTask } from "./given-task.js";

const subject = "fleet-a.tasks.security.security-1771813755-33254";

it("reads a task by the fleet's own names", () => {
  const text = `{"task":"Look","task_id":"security-1771813755-33254","domain":"security","dispatched_by":"tim",
    "timestamp":"2026-02-23T02:29:15Z","metadata":{"priority":"high","timeout_ms":60000}}`;

  expect(readTaskMessage(text, subject)).toEqual({
    kind: "task",
    task: {
      task: "Look",
      task_id: "security-1771813755-33254",
      domain: "security",
      dispatched_by: "tim",
      timestamp: "2026-02-23T02:29:15Z",
      metadata: { priority: "high", timeout_ms: 60_000 },
    },
  });
});

it("reads a task of a dispatcher that leaves the time-out to the knight", () => {
  const { metadata, ...task } = givenTask();

  expect(KnightTask.parse(task).metadata).toEqual({ priority: "normal" });
  expect(KnightTask.parse({ ...task, metadata: {} }).metadata).toEqual({ priority: "normal" });
});

it.each([
  ["no JSON", "{", "security-1771813755-33254", "it is not JSON"],
  ["no object", "[]", "security-1771813755-33254", /expected object/],
  ["another id than its subject's", '{"task_id":"mine"}', "mine", /^task: .*; domain: /],
  ["an id that is none", '{"task_id":"a b"}', "security-1771813755-33254", /task_id: must be usable as the end of/],
  ["a time-out of nothing", JSON.stringify({ ...givenTask(), metadata: { timeout_ms: 0 } }), undefined, /timeout_ms/],
  ["a time that is none", JSON.stringify({ ...givenTask(), timestamp: "today" }), undefined, /^timestamp: Invalid/],
])("says of a message with %s whose it is and what is wrong", (_, text, taskId, fault) => {
  const read = readTaskMessage(text, subject);

  expect(read).toEqual({
    kind: "malformed",
    taskId: taskId ?? "security-1771813755-33254",
    fault: expect.stringMatching(fault),
  });
});

it("knows no id where neither the message nor its subject has one", () => {
  expect(readTaskMessage("{", "fleet-a.tasks.security")).toMatchObject({ kind: "malformed", taskId: undefined });
});

it("takes an id from a subject whole", () => {
  expect(taskIdInSubject(subject)).toBe("security-1771813755-33254");
  expect(taskIdInSubject("fleet-a.tasks.security.batch.7")).toBe("batch.7");
});

it("makes ids like the fleet's", () => {
  const at = new Date("2026-02-23T02:29:15.900Z");

  expect(newTaskId("security", at, 0)).toBe("security-1771813755-10000");
  expect(newTaskId("security", at, 0.999_999_9)).toBe("security-1771813755-99999");
});

it("reads results of members in other languages", () => {
  const result = {
    task_id: "infra-1771813755-10000",
    knight: "percival",
    success: true,
    result: "# Fine",
    duration_ms: 1234.5,
    cost: 0.0021,
    tokens: { input: 812, output: 90 },
    model: "small-1",
    timestamp: "2026-02-23T02:29:15.123456+00:00",
  };

  expect(KnightResult.parse(result)).toEqual(result);
});

it("counts as nothing what is nobody's cost", () => {
  const heard = {
    task_id: "infra-1771813755-10000",
    success: true,
    result: "# Fine",
    tokens: { input: 1e308, output: 90 },
  };

  expect(HeardResult.parse({ ...heard, cost: 1e308 })).toMatchObject({ cost: 0, tokens: { input: 0, output: 90 } });
});
