/** A knight among an old fleet: what it takes, what it answers, and what it leaves on the server. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { silentLogger } from "../../../src/logger.js";
import { ExecutionError, type Executor, type Executors } from "../../../workflows/knights/executor.js";
import type { KnightSettings } from "../../../workflows/knights/settings.js";
import { type Knight, startKnight } from "../../../workflows/knights/start-knight.js";
import { useNats } from "../../support/nats.js";
import { RawNats } from "../../support/raw-nats.js";
import { until, untilHolds, untilSome } from "../../support/until.js";
import { answering, endless, givenLog, type LogEntry, spent } from "./given-task.js";
import { askJetStream, configOf, messageCount, OldDispatcher, removeStreams, setUpStreams } from "./old-fleet.js";

const nats = useNats();
let raw: RawNats;
let dispatcher: OldDispatcher;
const knights: Knight[] = [];

beforeEach(async () => {
  raw = await RawNats.connect(nats.url);
  dispatcher = new OldDispatcher(raw);
});
afterEach(async () => {
  await Promise.all(knights.splice(0).map((knight) => knight.stop()));
  await removeStreams(raw);
  await raw.close();
});

interface Started {
  readonly knight: Knight;
  readonly entries: readonly LogEntry[];
}

async function start(executors: Executors, change: Partial<KnightSettings> = {}): Promise<Started> {
  const { log, entries } = givenLog();
  const settings: KnightSettings = {
    natsUrl: nats.url,
    subjects: ["fleet-a.tasks.security.>"],
    name: "galahad",
    taskTimeoutMs: 20_000,
    drainTimeoutMs: 20_000,
    healthPort: 0,
    dataFolder: null,
    ...change,
  };
  const knight = await startKnight({ settings, executors, log, connectionLogger: silentLogger });
  knights.push(knight);
  return { knight, entries };
}

it("makes the fleet's streams and its consumer with the settings they have always had", async () => {
  await start({ security: answering("# Done") });

  expect(await configOf(raw, "STREAM.INFO.fleet_a_tasks")).toMatchObject({
    subjects: ["fleet-a.tasks.>"],
    retention: "workqueue",
    storage: "file",
  });
  expect(await configOf(raw, "STREAM.INFO.fleet_a_results")).toMatchObject({
    subjects: ["fleet-a.results.>"],
    retention: "limits",
    storage: "file",
  });
  const consumer = await configOf(raw, "CONSUMER.INFO.fleet_a_tasks.galahad-consumer");
  expect(consumer).toMatchObject({
    durable_name: "galahad-consumer",
    filter_subject: "fleet-a.tasks.security.>",
    ack_policy: "explicit",
    max_deliver: 1,
    ack_wait: 30_000_000_000,
  });
  expect(consumer).not.toHaveProperty("deliver_subject");
});

it("leaves streams and a consumer as it finds them", async () => {
  await setUpStreams(raw);
  const before = await configOf(raw, "STREAM.INFO.fleet_a_tasks");
  const { knight } = await start({ security: answering("# Done") });
  await knight.stop();
  const made = await configOf(raw, "CONSUMER.INFO.fleet_a_tasks.galahad-consumer");

  await start({ security: answering("# Done") });

  expect(await configOf(raw, "STREAM.INFO.fleet_a_tasks")).toEqual(before);
  expect(await configOf(raw, "CONSUMER.INFO.fleet_a_tasks.galahad-consumer")).toEqual(made);
});

it("answers a task with every field of a result, and takes it off the queue", async () => {
  const { entries } = await start({ security: answering("# Done") });

  const taskId = await dispatcher.dispatch("security");

  expect(await dispatcher.result(taskId)).toEqual({
    task_id: taskId,
    knight: "galahad",
    success: true,
    result: "# Done",
    duration_ms: expect.any(Number),
    cost: 0.25,
    tokens: { input: 1_000, output: 200 },
    model: "small-1",
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  });
  expect(await messageCount(raw, "fleet_a_tasks")).toBe(0);
  expect(await messageCount(raw, "fleet_a_results")).toBe(1);
  const completed = entries.find(({ message }) => message === "task completed");
  expect(completed?.fields).toEqual({
    task_id: taskId,
    domain: "security",
    success: true,
    duration_ms: expect.any(Number),
    ...spent,
  });
});

it("acknowledges a task before it is done", async () => {
  await start({ security: endless });
  await dispatcher.dispatch("security");

  await untilHolds(
    "the queue is empty",
    () => messageCount(raw, "fleet_a_tasks"),
    (messages) => messages === 0,
  );

  expect(dispatcher.results.received).toEqual([]);
});

it("takes one task at a time and leaves the others for the next process of its name", async () => {
  const { knight } = await start({ security: endless });
  const ids: string[] = [];
  for (let count = 0; count < 4; count += 1) ids.push(await dispatcher.dispatch("security"));
  await untilHolds(
    "one is taken",
    () => messageCount(raw, "fleet_a_tasks"),
    (messages) => messages === 3,
  );
  await knight.stop();

  await start({ security: answering("# Done") });

  const [first = "", ...others] = ids;
  const successes = await Promise.all(others.map(async (id) => (await dispatcher.result(id))["success"]));
  expect(successes).toEqual([true, true, true]);
  expect(await dispatcher.result(first)).toMatchObject({
    success: false,
    result: `galahad was stopped before task ${first} was done.`,
  });
});

it("loses no task when it is replaced under load", async () => {
  const executors = { security: answering("# Done") };
  let { knight } = await start(executors);
  const ids: string[] = [];

  for (let round = 0; round < 12; round += 1) {
    for (let count = 0; count < 10; count += 1) ids.push(await dispatcher.dispatch("security"));
    await knight.drain();
    ({ knight } = await start(executors));
  }

  await untilHolds(
    "every task has a result",
    () => ids.filter((id) => dispatcher.resultsOf(id).length !== 1),
    (left) => left.length === 0,
  );
  expect(await messageCount(raw, "fleet_a_results")).toBe(ids.length);
});

it("takes the tasks of several domains, and of no other", async () => {
  await start(
    { security: answering("# Safe"), infra: answering("# Up") },
    { subjects: ["fleet-a.tasks.security.>", "fleet-a.tasks.infra.>"] },
  );

  const others = await dispatcher.dispatch("finance");
  const [security, infra] = [await dispatcher.dispatch("security"), await dispatcher.dispatch("infra")];

  expect(await dispatcher.result(security)).toMatchObject({ result: "# Safe" });
  expect(await dispatcher.result(infra)).toMatchObject({ result: "# Up" });
  expect(dispatcher.resultsOf(others)).toEqual([]);
  expect(await configOf(raw, "CONSUMER.INFO.fleet_a_tasks.galahad-consumer")).toMatchObject({
    filter_subjects: ["fleet-a.tasks.security.>", "fleet-a.tasks.infra.>"],
  });
});

it("answers with an error when the time is up, and goes on with the next task", async () => {
  let isSlow = true;
  const { entries } = await start({
    security: { execute: (task, context) => (isSlow ? endless : answering("# Done")).execute(task, context) },
  });

  const slow = await dispatcher.dispatch("security", { metadata: { priority: "normal", timeout_ms: 50 } });
  const failure = await dispatcher.result(slow);
  isSlow = false;
  const next = await dispatcher.dispatch("security");

  expect(failure).toMatchObject({ success: false, result: `Task ${slow} timed out after 50 ms and was aborted.` });
  expect(entries.find(({ message }) => message === "task failed")?.fields).toMatchObject({ task_id: slow, cost: 0 });
  expect(await dispatcher.result(next)).toMatchObject({ success: true });
});

it("answers for a domain that it cannot do", async () => {
  await start({ security: answering("# Done") }, { subjects: ["fleet-a.tasks.>"] });

  const taskId = await dispatcher.dispatch("gardening");

  expect(await dispatcher.result(taskId)).toMatchObject({
    success: false,
    result: 'galahad has no executor for domain "gardening"; it has security.',
  });
});

it.each<[string, string | Uint8Array, RegExp]>([
  ["no JSON", "{", /^The message on fleet-a\.tasks\.security\.mine is no task: it is not JSON\.$/],
  ["nothing", "", /it is not JSON/],
  ["no text", new Uint8Array([0xff, 0xfe, 0x00]), /it is not JSON/],
  ["null", "null", /expected object/],
  ["half of a task", '{"task_id":"mine","domain":"security"}', /is no task: task: .*; dispatched_by: .*; timestamp: /],
  ["fields of other types", '{"task_id":7,"task":{},"domain":[]}', /is no task: task: /],
])("answers to %s under the id it can tell", async (_, body, sentence) => {
  const { knight } = await start({ security: answering("# Done") });

  await dispatcher.publish("security", "mine", body);

  expect(await dispatcher.result("mine")).toEqual({
    task_id: "mine",
    knight: "galahad",
    success: false,
    result: expect.stringMatching(sentence),
    duration_ms: 0,
    cost: 0,
    tokens: { input: 0, output: 0 },
    model: "none",
    timestamp: expect.any(String),
  });
  expect(knight.health.report().tasks.malformed).toBe(1);
  expect(await messageCount(raw, "fleet_a_tasks")).toBe(0);
  const taskId = await dispatcher.dispatch("security");
  expect(await dispatcher.result(taskId)).toMatchObject({ success: true });
});

it("counts and logs what nobody can be told about", async () => {
  const { knight, entries } = await start({ security: answering("# Done") }, { subjects: ["fleet-a.tasks.>"] });

  const ack = await raw.request("fleet-a.tasks.security", "{");

  expect(ack.data.toString()).toContain("fleet_a_tasks");
  await until("it is counted", () => knight.health.report().tasks.malformed === 1);
  expect(entries).toContainEqual({
    level: "warn",
    message: "a malformed task",
    fields: { subject: "fleet-a.tasks.security", fault: "it is not JSON" },
  });
  expect(dispatcher.results.received).toEqual([]);
});

it("does a task once, although it is dispatched twice", async () => {
  let executions = 0;
  const { knight } = await start({
    security: {
      execute: async () => {
        executions += 1;
        return { ...spent, result: "# Done" };
      },
    },
  });
  const taskId = await dispatcher.dispatch("security");
  await dispatcher.result(taskId);

  await dispatcher.dispatch("security", { task_id: taskId, timestamp: "2026-02-23T02:31:00Z" });

  await until("the second is seen", () => knight.health.report().tasks.duplicates === 1);
  expect(executions).toBe(1);
  expect(dispatcher.resultsOf(taskId)).toHaveLength(1);
});

it.each<[string, Executor]>([
  ["result", answering("x".repeat(2_000_000))],
  ["error", { execute: async () => Promise.reject(new ExecutionError("x".repeat(2_000_000), spent)) }],
])("says so when a %s is too large for the server", async (_, executor) => {
  await start({ security: executor });

  const taskId = await dispatcher.dispatch("security");

  const { success, result, cost } = await dispatcher.result(taskId);
  expect({ success, cost }).toEqual({ success: false, cost: 0.25 });
  expect(result).toMatch(/^The result of task \S+ is too large to be published: /);
});

it("refuses to start beside a knight that takes the same tasks under another name", async () => {
  await start({ security: answering("# Done") });

  await expect(start({ security: answering("# Done") }, { name: "percival" })).rejects.toMatchObject({
    code: "STORAGE_MISCONFIGURED",
    message: expect.stringContaining("percival-consumer"),
  });
});

it("publishes the result of a task that was in hand while the server was away", async () => {
  let finish = (): void => undefined;
  const { knight } = await start({
    security: {
      execute: () =>
        new Promise((resolve) => {
          finish = () => resolve({ ...spent, result: "# Done" });
        }),
    },
  });
  const taskId = await dispatcher.dispatch("security");
  await until("it is taken", () => knight.health.report().tasks.running === 1);
  await nats.stop();
  await until("the knight is unhealthy", () => knight.health.report().status === "unhealthy");
  const response = await fetch(knight.health.url);
  finish();
  await nats.restart();
  await raw.close();
  raw = await RawNats.connect(nats.url);

  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ jetstream: { ok: false }, consumer: { pending: null } });
  await untilHolds(
    "the result is there",
    () => messageCount(raw, "fleet_a_results"),
    (count) => count === 1,
  );
  const stored = await askJetStream(raw, "STREAM.MSG.GET.fleet_a_results", {
    last_by_subj: `fleet-a.results.${taskId}`,
  });
  expect(Buffer.from((stored["message"] as { data: string }).data, "base64").toString()).toContain("# Done");
});

it("makes its consumer again where it was deleted", async () => {
  await start({ security: answering("# Done") });
  await askJetStream(raw, "STREAM.DELETE.fleet_a_tasks", {});
  await setUpStreams(raw);

  const taskId = await dispatcher.dispatch("security");
  const result = await untilSome("it is done", () => dispatcher.resultsOf(taskId)[0], { deadlineMs: 40_000 });

  expect(result).toMatchObject({ success: true });
});

it("tells over HTTP how it is, and makes the stream of results again where only that was deleted", async () => {
  const { knight } = await start({ security: endless });
  await askJetStream(raw, "STREAM.DELETE.fleet_a_results", {});
  await dispatcher.dispatch("security");
  await dispatcher.dispatch("security");
  await dispatcher.dispatch("security");
  await until("one is in hand", () => knight.health.report().tasks.running === 1);

  const report = async () => (await (await fetch(knight.health.url)).json()) as { consumer: { pending: number } };
  await untilHolds("the lag is read", report, ({ consumer }) => consumer.pending === 2, { deadlineMs: 40_000 });
  const response = await fetch(knight.health.url);

  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await response.json()).toEqual({
    status: "healthy",
    knight: "galahad",
    faults: [],
    connection: { connected: true, url: nats.url },
    jetstream: { ok: true, ping_ms: expect.any(Number), checked_at: expect.any(String) },
    consumer: { stream: "fleet_a_tasks", name: "galahad-consumer", pending: 2, ack_pending: 0 },
    tasks: {
      ...{ running: 1, succeeded: 0, failed: 0, malformed: 0, duplicates: 0, cost: 0 },
      tokens: { input: 0, output: 0 },
    },
    draining: false,
  });
  const [other, healthz, posted] = await Promise.all([
    fetch(new URL("/metrics", knight.health.url)),
    fetch(new URL("/healthz?verbose", knight.health.url)),
    fetch(knight.health.url, { method: "POST" }),
  ]);
  expect([other.status, healthz.status, posted.status]).toEqual([404, 200, 405]);
  expect(await messageCount(raw, "fleet_a_results")).toBe(0);
});
