import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { Engine, type Json } from "./peers.js";

const nats = useNats();

it("answers a submission with the task's id in an envelope, and nothing else", async () => {
  await using engine = await Engine.start(nats.url);
  expect(await engine.submit({ taskId: "mine", type: "ocr" })).toEqual({
    messageId: expect.any(String),
    timestamp: expect.any(Number),
    taskId: "mine",
  });
});

it("names a task after its message where it has no id, so that asking again is safe", async () => {
  await using engine = await Engine.start(nats.url);
  const messageId = randomUUID();
  expect(await engine.submit({ type: "ocr" }, { messageId })).toMatchObject({ taskId: messageId });
  expect(await engine.submit({ type: "ocr" }, { messageId })).toMatchObject({ taskId: messageId });
  expect(await engine.ask("task.list")).toMatchObject({ total: 1 });
});

it("answers a batch with an id for each member, in their order", async () => {
  await using engine = await Engine.start(nats.url);
  const messageId = randomUUID();
  const tasks = [{ type: "ocr" }, { type: "ocr", taskId: "mine" }, { type: "ocr" }];
  const { taskIds } = await engine.ask("task.submit", { messageId, tasks });
  expect(taskIds).toEqual([`${messageId}-0`, "mine", `${messageId}-2`]);
});

it("takes the same task again for the same one, however its JSON is written", async () => {
  await using engine = await Engine.start(nats.url);
  const task = { taskId: "t-1", type: "ocr", input: { a: 1, b: [2, { c: null, d: "" }] }, priority: "high" };
  const written = { priority: "high", input: { b: [2, { d: "", c: null }], a: 1 }, type: "ocr", taskId: "t-1" };
  expect(await engine.submit(task)).toMatchObject({ taskId: "t-1" });
  // The envelope, and with it the preference, is no part of the task.
  expect(await engine.submit(written, { preferredAgentId: "k-9" })).toMatchObject({ taskId: "t-1" });
});

it.each<[string, Json]>([
  ["type", { type: "scan" }],
  ["input", { input: 2 }],
  ["priority", { priority: "low" }],
  ["timeoutMs", { timeoutMs: 5 }],
  ["retry", { retry: { maximumAttempts: 9 } }],
  ["metadata", { metadata: { zone: "b" } }],
])("refuses a known id with another %s as ID_CONFLICT", async (_, change) => {
  await using engine = await Engine.start(nats.url);
  const task = { taskId: "t-1", type: "ocr", input: 1 };
  await engine.submitted(task);
  expect(await engine.submit({ ...task, ...change })).toMatchObject({
    error: { code: "ID_CONFLICT", message: expect.stringContaining("t-1"), details: { taskId: "t-1" } },
  });
  expect(await engine.get("t-1")).toMatchObject({ type: "ocr", input: 1, priority: "normal" });
});

it("knows a task again after it ended, and after a restart, and does not run it twice", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const task = { taskId: "t-1", type: "ocr", input: { page: 1 } };
  await engine.submitted(task);
  agent.complete(await agent.takeTask(), "read");
  await engine.wait("t-1");
  expect(await engine.submit(task)).toMatchObject({ taskId: "t-1" });
  expect(await engine.submit({ ...task, input: 2 })).toMatchObject({ error: { code: "ID_CONFLICT" } });

  // From here on its record is in the store only: a new leader loads unfinished tasks.
  await engine.restart();
  expect(await engine.submit({ ...task, input: 2 })).toMatchObject({ error: { code: "ID_CONFLICT" } });
  expect(await engine.submit(task)).toMatchObject({ taskId: "t-1" });
  expect(await engine.get("t-1")).toMatchObject({ state: "completed", output: "read", input: { page: 1 } });
  expect(await engine.wait("t-1")).toMatchObject({ state: "completed", output: "read" });
  expect(await engine.ask("task.cancel", { taskId: "t-1" })).toMatchObject({ task: { state: "completed" } });
  expect(await engine.ask("task.explain", { taskId: "t-1" })).toMatchObject({ explanation: { state: "completed" } });
  expect(agent.assignments.received).toHaveLength(1);
});

it("starts a task whose dependency left memory before it was submitted, with that one's output", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const [done, broken] = [await engine.submitted({ type: "ocr" }), await engine.submitted({ type: "ocr" })];
  agent.complete(await agent.takeTask(), { text: "read" });
  agent.result(await agent.takeTask(), {
    status: "failed",
    error: { type: "Torn", message: "page is torn", nonRetryable: true },
  });
  await engine.wait(broken);
  await engine.restart();
  const dependent = await engine.submitted({ type: "ocr", dependencies: [done] });
  expect(await agent.takeTask()).toMatchObject({ taskId: dependent, dependencyResults: { [done]: { text: "read" } } });
  const doomed = await engine.submitted({ type: "ocr", dependencies: [broken] });
  expect(await engine.wait(doomed)).toMatchObject({
    state: "failed",
    attempt: 0,
    error: { type: "DEPENDENCY_FAILED", message: expect.stringContaining("page is torn") },
  });
});

const whole = [{ taskId: "a", type: "ocr" }];
it.each<[string, string, readonly Json[]]>([
  ["an unknown dependency", "DEPENDENCY_UNKNOWN", [...whole, { taskId: "b", type: "ocr", dependencies: ["nobody"] }]],
  ["a member twice", "ID_CONFLICT", [...whole, { taskId: "a", type: "ocr" }]],
  ["a member that is another task already", "ID_CONFLICT", [...whole, { taskId: "known", type: "ocr", input: 2 }]],
  [
    "a member that depends on itself",
    "DEPENDENCY_CYCLE",
    [...whole, { taskId: "b", type: "ocr", dependencies: ["b"] }],
  ],
  [
    "a circle",
    "DEPENDENCY_CYCLE",
    [
      ...whole,
      { taskId: "b", type: "ocr", dependencies: ["d"] },
      { taskId: "c", type: "ocr", dependencies: ["b"] },
      { taskId: "d", type: "ocr", dependencies: ["c", "a"] },
    ],
  ],
  ["a member with a bad id", "INVALID_ID", [...whole, { taskId: "b.c", type: "ocr" }]],
  ["a member with a bad priority", "INVALID_PRIORITY", [...whole, { taskId: "b", type: "ocr", priority: "urgent" }]],
  ["a member without type", "INVALID_MESSAGE", [...whole, { taskId: "b" }]],
  ["a member with too large an input", "PAYLOAD_TOO_LARGE", [...whole, { type: "ocr", input: "x".repeat(131_072) }]],
  ["no member", "INVALID_MESSAGE", []],
  ["more members than a journal message holds", "BATCH_TOO_LARGE", Array(4_000).fill({ type: "ocr" })],
  ["more members than are allowed", "BATCH_TOO_LARGE", Array(5_001).fill({ type: "ocr" })],
])("accepts nothing of a batch with %s: %s", async (_, code, tasks) => {
  await using engine = await Engine.start(nats.url);
  await engine.submitted({ taskId: "known", type: "ocr" });
  expect(await engine.ask("task.submit", { tasks })).toMatchObject({ error: { code } });
  expect(await engine.ask("task.list")).toMatchObject({ total: 1, tasks: [{ taskId: "known" }] });
  expect(await engine.ask("task.get", { taskId: "a" })).toMatchObject({ error: { code: "NOT_FOUND" } });
});

it("names the members of a circle in its refusal", async () => {
  await using engine = await Engine.start(nats.url);
  const tasks = [
    { taskId: "b", type: "ocr", dependencies: ["c"] },
    { taskId: "c", type: "ocr", dependencies: ["b"] },
  ];
  const { error } = await engine.ask("task.submit", { tasks });
  expect(error?.details).toEqual({ cycle: ["b", "c", "b"] });
});

it("accepts a batch again of which some members are known, and a thousand members at once", async () => {
  await using engine = await Engine.start(nats.url);
  const tasks = Array.from({ length: 1_000 }, (_, index) => ({
    taskId: `m-${index}`,
    type: "ocr",
    ...(index === 0 ? {} : { dependencies: [`m-${index - 1}`] }),
  }));
  const taskIds = tasks.map(({ taskId }) => taskId);
  expect(await engine.ask("task.submit", { tasks: tasks.slice(0, 10) })).toMatchObject({
    taskIds: taskIds.slice(0, 10),
  });
  expect(await engine.ask("task.submit", { tasks })).toMatchObject({ taskIds });
  expect(await engine.status()).toMatchObject({ queuedTaskCount: 1, waitingTaskCount: 999 });
});

it("refuses what passes maxQueuedTasks as QUEUE_FULL, and takes it when there is room", async () => {
  await using engine = await Engine.start(nats.url, { maxQueuedTasks: 2 });
  const first = await engine.submitted({ type: "ocr" });
  expect(await engine.ask("task.submit", { tasks: [{ type: "ocr" }, { type: "ocr" }] })).toMatchObject({
    error: { code: "QUEUE_FULL", details: { maxQueuedTasks: 2, queued: 1 } },
  });
  await engine.submitted({ taskId: "second", type: "ocr" });
  expect(await engine.submit({ taskId: "third", type: "ocr" })).toMatchObject({ error: { code: "QUEUE_FULL" } });
  // What is known is no new load.
  expect(await engine.submit({ taskId: "second", type: "ocr" })).toMatchObject({ taskId: "second" });
  await engine.ask("task.cancel", { taskId: first });
  expect(await engine.submit({ taskId: "third", type: "ocr" })).toMatchObject({ taskId: "third" });
});

it.each<[string, string, Json]>([
  ["both task and tasks", "INVALID_MESSAGE", { task: { type: "ocr" }, tasks: [{ type: "ocr" }] }],
  ["neither task nor tasks", "INVALID_MESSAGE", {}],
  ["a messageId that is no UUID", "INVALID_MESSAGE", { messageId: "1", task: { type: "ocr" } }],
  ["no messageId", "INVALID_MESSAGE", { messageId: undefined, task: { type: "ocr" } }],
  ["a timestamp that is no integer", "INVALID_MESSAGE", { timestamp: 1.5, task: { type: "ocr" } }],
  ["a timestamp as text", "INVALID_MESSAGE", { timestamp: "2026-01-01T00:00:00Z", task: { type: "ocr" } }],
  ["an empty type", "INVALID_MESSAGE", { task: { type: "" } }],
  ["a blank type", "INVALID_MESSAGE", { task: { type: "  " } }],
  ["a preferred agent that is no id", "INVALID_ID", { preferredAgentId: "k.1", task: { type: "ocr" } }],
  ["a dependency that is no id", "INVALID_ID", { task: { type: "ocr", dependencies: ["a", "b c"] } }],
  ["a task id that is empty", "INVALID_ID", { task: { type: "ocr", taskId: "" } }],
  ["a task id that begins with a dash", "INVALID_ID", { task: { type: "ocr", taskId: "-a" } }],
  ["a task id of 129 characters", "INVALID_ID", { task: { type: "ocr", taskId: "a".repeat(129) } }],
  ["a task id that is null", "INVALID_ID", { task: { type: "ocr", taskId: null } }],
  ["a priority in capitals", "INVALID_PRIORITY", { task: { type: "ocr", priority: "HIGH" } }],
  ["a priority as a number", "INVALID_PRIORITY", { task: { type: "ocr", priority: 1 } }],
  ["timeoutMs 0", "INVALID_MESSAGE", { task: { type: "ocr", timeoutMs: 0 } }],
  ["a negative scheduleToCloseMs", "INVALID_MESSAGE", { task: { type: "ocr", scheduleToCloseMs: -1 } }],
  ["a timeoutMs of a thousand years", "INVALID_MESSAGE", { task: { type: "ocr", timeoutMs: 31_536_000_000_000 } }],
  ["negative maximumAttempts", "INVALID_MESSAGE", { task: { type: "ocr", retry: { maximumAttempts: -1 } } }],
  ["a shrinking back-off", "INVALID_MESSAGE", { task: { type: "ocr", retry: { backoffCoefficient: 0.5 } } }],
  [
    "a maximum interval below the initial one",
    "INVALID_MESSAGE",
    { task: { type: "ocr", retry: { initialIntervalMs: 100, maximumIntervalMs: 10 } } },
  ],
  ["metadata that is a list", "INVALID_MESSAGE", { task: { type: "ocr", metadata: [1] } }],
  ["an input over 128 KB", "PAYLOAD_TOO_LARGE", { task: { type: "ocr", input: "x".repeat(131_071) } }],
  ["metadata over 128 KB", "PAYLOAD_TOO_LARGE", { task: { type: "ocr", metadata: { text: "x".repeat(131_072) } } }],
  ["an unknown dependency", "DEPENDENCY_UNKNOWN", { task: { type: "ocr", dependencies: ["nobody"] } }],
])("refuses a submission with %s: %s", async (_, code, fields) => {
  await using engine = await Engine.start(nats.url);
  const { error, taskId } = await engine.ask("task.submit", fields);
  expect(taskId).toBeUndefined();
  expect(error).toMatchObject({ code, message: expect.any(String) });
  expect(await engine.ask("task.list")).toMatchObject({ total: 0 });
});

it("accepts what stands just within the bounds", async () => {
  await using engine = await Engine.start(nats.url);
  const taskId = "a".repeat(128);
  // 131,072 bytes of JSON: the text and its quotes.
  await engine.submitted({ taskId, type: "t".repeat(128), input: "x".repeat(131_070), priority: "critical" });
  expect(await engine.get(taskId)).toMatchObject({ input: expect.stringMatching(/^x{131070}$/), priority: "critical" });
  await engine.submitted({ taskId: "0", type: "find similar bugs", requiredCapabilities: [], dependencies: [] });
  await engine.submitted({
    taskId: "A_-9",
    type: "ünïcödé 🙂",
    timeoutMs: 1,
    scheduleToCloseMs: 315_360_000_000,
  });
});

it("says in a refusal which fields are wrong", async () => {
  await using engine = await Engine.start(nats.url);
  const { error } = await engine.submit({ type: 7, priority: "urgent", timeoutMs: "5s" });
  expect(error?.details).toEqual({ fields: ["task.type", "task.priority", "task.timeoutMs"] });
  for (const name of ["task.type", "task.priority", "task.timeoutMs"]) expect(error?.message).toContain(name);
});

it("ignores fields that it does not know and passes none of them on", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { favouriteColour: "green" });
  const taskId = await engine.submitted(
    { type: "ocr", input: { deep: { kept: true } }, colour: "green", retry: { flavour: "mint" } },
    { colour: "green" },
  );
  const task = await agent.takeTask();
  agent.result(task, {
    output: 1,
    colour: "green",
    usage: { cost: 1, tokens: { input: 1, output: 1, total: 2 }, model: "m", colour: 1 },
  });
  const shown = await engine.wait(taskId);
  expect(task["input"]).toEqual({ deep: { kept: true } });
  expect(JSON.stringify([task, shown, await engine.status()])).not.toMatch(/colour|flavour|favourite|total/);
});
