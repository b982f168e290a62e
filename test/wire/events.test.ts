import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { Engine, type Json, jsonOf, withEnvelope } from "./peers.js";

const nats = useNats();

it("tells the life of an engine, an agent and their tasks in events of the contract", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const completed = await engine.submitted({ type: "ocr" });
  agent.complete(await agent.takeTask(), "read");
  await engine.wait(completed);
  const failed = await engine.submitted({ type: "ocr", retry: { maximumAttempts: 1 } });
  agent.fail(await agent.takeTask());
  await engine.wait(failed);
  await engine.orchestrator.stop();
  await engine.event("ORCHESTRATOR_STOPPING");

  const events = engine.events.received.map(({ data }) => jsonOf<Json>(data));
  for (const { messageId, timestamp, eventType, payload, ...more } of events) {
    expect(messageId).toMatch(/^[0-9a-f-]{36}$/);
    expect(Number.isSafeInteger(timestamp)).toBe(true);
    expect([typeof eventType, typeof payload, more]).toEqual(["string", "object", {}]);
  }
  expect(events.map(({ eventType }) => eventType)).toEqual([
    "ORCHESTRATOR_STARTED",
    "AGENT_REGISTERED",
    "TASK_SUBMITTED",
    "TASK_COMPLETED",
    "TASK_SUBMITTED",
    "TASK_FAILED",
    "ORCHESTRATOR_STOPPING",
  ]);
  expect(engine.eventsLike("TASK_SUBMITTED", { taskId: completed, type: "ocr" })).toHaveLength(1);
  expect(engine.eventsLike("TASK_COMPLETED", { taskId: completed, agentId: "k-1", attempt: 1 })).toHaveLength(1);
  expect(engine.eventsLike("TASK_FAILED", { taskId: failed })).toMatchObject([
    { payload: { error: { type: "OutOfPaper" } } },
  ]);
  expect(new Set(events.map(({ messageId }) => messageId)).size).toBe(events.length);
});

it("tells of each member of a batch once, and of a repeated submission nothing", async () => {
  await using engine = await Engine.start(nats.url);
  const tasks = [
    { taskId: "a", type: "ocr" },
    { taskId: "b", type: "ocr", dependencies: ["a"] },
  ];
  await engine.ask("task.submit", { tasks });
  await engine.ask("task.submit", { tasks });
  await engine.submitted({ taskId: "last", type: "ocr" });
  await engine.event("TASK_SUBMITTED", { taskId: "last" });
  expect(engine.eventsLike("TASK_SUBMITTED").map(({ payload }) => (payload as Json)["taskId"])).toEqual([
    "a",
    "b",
    "last",
  ]);
});

it("lets a client hear of an end only after it could be asked for", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 50 });
  const ids: Promise<string>[] = [];
  for (let index = 0; index < 50; index += 1) ids.push(engine.submitted({ type: "ocr" }));
  await Promise.all(ids);
  for (const _ of ids) {
    const task = await agent.nextTask();
    agent.complete(task, task.taskId);
  }
  const seen = new Set<unknown>();
  await until("all have ended", async () => {
    for (const { payload } of engine.eventsLike("TASK_COMPLETED")) {
      const { taskId } = payload as { taskId: string };
      if (seen.has(taskId)) continue;
      seen.add(taskId);
      expect(await engine.get(taskId)).toMatchObject({ state: "completed", output: taskId });
    }
    return seen.size === 50;
  });
});

it("lets engines of several namespaces work on one server without hearing each other", async () => {
  await using left = await Engine.start(nats.url);
  await using right = await Engine.start(nats.url);
  const all = left.nats.subscribe(`${left.namespace}.>`);
  const [leftAgent, rightAgent] = [await left.agent("k-1"), await right.agent("k-1")];
  await left.submitted({ taskId: "t-1", type: "ocr", input: "left" });
  await right.submitted({ taskId: "t-1", type: "ocr", input: "right" });
  leftAgent.complete(await leftAgent.takeTask(), "from the left");
  rightAgent.complete(await rightAgent.takeTask(), "from the right");
  expect(await left.wait("t-1")).toMatchObject({ input: "left", output: "from the left" });
  expect(await right.wait("t-1")).toMatchObject({ input: "right", output: "from the right" });
  await right.submitted({ taskId: "t-2", type: "ocr" });
  expect(await left.ask("task.get", { taskId: "t-2" })).toMatchObject({ error: { code: "NOT_FOUND" } });
  expect(await left.status()).toMatchObject({ namespace: left.namespace, agentCount: 1, queuedTaskCount: 0 });
  expect(all.received.filter(({ data }) => data.toString().includes("right"))).toEqual([]);
});

it("keeps its streams and buckets under its namespace", async () => {
  await using engine = await Engine.start(nats.url);
  const answer = await engine.nats.request("$JS.API.STREAM.NAMES", "");
  const { streams } = jsonOf<{ streams: string[] }>(answer.data);
  const upper = engine.namespace.toUpperCase();
  const own = [
    `${upper}_JOURNAL`,
    `${upper}_RESULTS`,
    ...["agents", "histories", "meta", "runs", "tasks", "tasks_ended"].map(
      (bucket) => `KV_${engine.namespace}_${bucket}`,
    ),
  ];
  expect(streams.filter((name) => name.toLowerCase().includes(engine.namespace)).sort()).toEqual(own.sort());
});

it("lets anybody watch the state of a task in JetStream KV", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  agent.complete(await agent.takeTask(), "read");
  await engine.wait(taskId);
  await engine.orchestrator.stop();
  const bucket = `KV_${engine.namespace}_tasks_ended`;
  const request = JSON.stringify({ last_by_subj: `$KV.${engine.namespace}_tasks_ended.${taskId}` });
  const answer = await engine.nats.request(`$JS.API.STREAM.MSG.GET.${bucket}`, request);
  const { message } = jsonOf<{ message: { data: string } }>(answer.data);
  expect(jsonOf(Buffer.from(message.data, "base64"))).toMatchObject({ record: { state: "completed", output: "read" } });
});

it("leaves no subscription behind but its own, however many asked and waited", async () => {
  await using engine = await Engine.start(nats.url);
  const taskId = await engine.submitted({ type: "ocr" });
  const waiting = Array.from({ length: 200 }, () => engine.wait(taskId, 100));
  for (const task of await Promise.all(waiting)) expect(task).toMatchObject({ state: "queued" });
  await engine.ask("task.cancel", { taskId });
  const inboxes = engine.nats.subscribe("_INBOX.>");
  await engine.nats.flush();
  // Whoever had waited was answered once: the end of the task reaches nobody's inbox a second time.
  expect(await engine.get(taskId)).toMatchObject({ state: "cancelled" });
  const answered = inboxes.received.filter(({ subject }) => subject.includes("raw-"));
  expect(answered).toHaveLength(1);
});

it("takes a submission with a trace header like any other", async () => {
  await using engine = await Engine.start(nats.url);
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const body = JSON.stringify(withEnvelope({ task: { type: "ocr" } }));
  const answer = await engine.nats.request(`${engine.namespace}.orchestrator.task.submit`, body, {
    headers: { traceparent },
  });
  expect(jsonOf(answer.data)).toMatchObject({ taskId: expect.any(String) });
});
