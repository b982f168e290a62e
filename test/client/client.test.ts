import { randomUUID } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { type Client, connectClient } from "../../src/client/client.js";
import type { NewTask } from "../../src/client/submission.js";
import type { SystemEvent } from "../../src/client/system-events.js";
import { TaskFailedError } from "../../src/client/task-outcome.js";
import { PerdureError } from "../../src/errors.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { givenEnvelope } from "../support/given.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";
import { type Request, ScriptedEndpoints, taskView } from "./scripted-endpoints.js";

const nats = useNats();

async function givenClient(requestTimeoutMs = 10_000): Promise<{ client: Client; endpoints: ScriptedEndpoints }> {
  const namespace = newNamespace();
  const endpoints = new ScriptedEndpoints(await nats.connect(), namespace);
  const client = await connectClient({ servers: nats.url, namespace, requestTimeoutMs });
  onTestFinished(() => client.close());
  return { client, endpoints };
}

it("submits a task and gives a handle to it", async () => {
  const { client, endpoints } = await givenClient();
  const requests = await endpoints.answer("taskSubmit", () => ({ taskId: "t-1" }));
  await endpoints.answer("taskWait", ({ taskId }) => taskView(taskId, { output: { sum: 3 } }));

  const handle = await client.submit(
    { taskId: "t-1", type: "echo", input: null, priority: "high", dependencies: ["t-0"] },
    { preferredAgentId: "cam-1" },
  );

  expect(handle.taskId).toBe("t-1");
  expect(await handle.result()).toEqual({ sum: 3 });
  expect(requests).toMatchObject([
    {
      task: { taskId: "t-1", type: "echo", input: null, priority: "high", dependencies: ["t-0"] },
      preferredAgentId: "cam-1",
    },
  ]);
});

it("submits a batch and gives handles in its order", async () => {
  const { client, endpoints } = await givenClient();
  await endpoints.answer("taskSubmit", () => ({ taskIds: ["a", "b"] }));

  const handles = await client.submitAll([
    { taskId: "a", type: "echo" },
    { taskId: "b", type: "echo", dependencies: ["a"] },
  ]);

  expect(handles.map(({ taskId }) => taskId)).toEqual(["a", "b"]);
});

it("waits for a leader: asks again, with the same message, while nobody listens", async () => {
  const { client, endpoints } = await givenClient();
  const submitted = client.submit({ type: "echo" }, { messageId: "5f0c7b1e-0f5a-4a9e-9a53-1d2f0f4b8a11" });

  const requests = await endpoints.answer(
    "taskSubmit",
    () => ({ error: { code: "NOT_READY", message: "not leading yet" } }),
    ({ messageId }) => ({ taskId: messageId }),
  );

  expect((await submitted).taskId).toBe("5f0c7b1e-0f5a-4a9e-9a53-1d2f0f4b8a11");
  expect(requests).toHaveLength(2);
  expect(requests[1]).toEqual(requests[0]);
});

it("says that nothing was done where nobody ever listened", async () => {
  const { client } = await givenClient(200);

  const error = await client.submit({ type: "echo" }).catch((caught: unknown) => caught);

  expect(error).toMatchObject({ code: "NO_RESPONDERS", details: { outcome: "untouched" } });
});

it("says that nobody knows where a submission was never answered", async () => {
  const { client, endpoints } = await givenClient(200);
  await endpoints.answer("taskSubmit", () => null);

  const error = await client.submit({ type: "echo" }).catch((caught: unknown) => caught);

  expect(error).toMatchObject({ code: "REQUEST_TIMED_OUT", details: { outcome: "unknown" } });
  expect(error).toHaveProperty("message", expect.stringContaining("safe"));
});

it("throws the orchestrator's refusal with its code and its details", async () => {
  const { client, endpoints } = await givenClient();
  const details = { dependency: "t-0" };
  const requests = await endpoints.answer("taskSubmit", () => ({
    error: { code: "DEPENDENCY_UNKNOWN", message: "no such task", details },
  }));

  const error = await client.submit({ type: "echo" }).catch((caught: unknown) => caught);

  expect(error).toBeInstanceOf(PerdureError);
  expect(error).toMatchObject({ code: "DEPENDENCY_UNKNOWN", message: "no such task", details });
  expect(requests).toHaveLength(1);
});

it("keeps the code of a refusal that only a later version knows", async () => {
  const { client, endpoints } = await givenClient();
  await endpoints.answer("taskGet", () => ({ error: { code: "MOON_PHASE", message: "not tonight" } }));

  await expect(client.get("t-1")).rejects.toMatchObject({ code: "INTERNAL", details: { code: "MOON_PHASE" } });
});

it.each(["", "{", "null", "[]", "7", "{}", '{"task":{}}', '{"error":7}'])(
  "says so where the answer %j cannot be read",
  async (bytes) => {
    const { client, endpoints } = await givenClient();
    await endpoints.answer("taskGet", () => bytes);

    await expect(client.get("t-1")).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
  },
);

const circle: { self?: unknown } = {};
circle.self = circle;

it.each<[string, NewTask]>([
  ["INVALID_ID", { type: "echo", taskId: "a.b" }],
  ["INVALID_ID", { type: "echo", dependencies: ["ok", "not ok"] }],
  ["INVALID_MESSAGE", { type: "" }],
  ["INVALID_MESSAGE", { type: "echo", timeoutMs: -1 }],
  ["INVALID_MESSAGE", { type: "echo", input: circle }],
  ["INVALID_MESSAGE", { type: "echo", input: 1n }],
  ["INVALID_MESSAGE", { type: "echo", input: () => 1 }],
  // A caller without types.
  ["INVALID_PRIORITY", { type: "echo", priority: JSON.parse('"urgent"') }],
  ["PAYLOAD_TOO_LARGE", { type: "echo", input: "x".repeat(128 * 1024) }],
  ["PAYLOAD_TOO_LARGE", { type: "echo", metadata: { note: "ß".repeat(70 * 1024) } }],
])("refuses with %s before asking: %o", async (code, task) => {
  const { client, endpoints } = await givenClient();
  const requests = await endpoints.answer("taskSubmit", () => ({ taskId: "t-1" }));

  await expect(client.submit(task)).rejects.toMatchObject({ code });
  await expect(client.submitAll([{ type: "echo" }, task])).rejects.toMatchObject({ code });

  expect(requests).toEqual([]);
});

it("refuses a batch that is larger than the server takes", async () => {
  const { client } = await givenClient();
  const tasks = Array.from({ length: 11 }, () => ({ type: "echo", input: "x".repeat(100 * 1024) }));

  await expect(client.submitAll(tasks)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
});

it.each(["", "a.b", "a b", "*", ">", "x".repeat(129)])("does not ask about the id %j", async (taskId) => {
  const { client } = await givenClient();

  for (const asked of [client.get(taskId), client.wait(taskId), client.cancel(taskId), client.explain(taskId)]) {
    await expect(asked).rejects.toMatchObject({ code: "INVALID_ID" });
  }
});

it("waits on while the task has not ended", async () => {
  const { client, endpoints } = await givenClient();
  const running = ({ taskId }: Request) => taskView(taskId, { state: "running" });
  const requests = await endpoints.answer("taskWait", running, running, ({ taskId }) =>
    taskView(taskId, { state: "cancelled", reason: "was cancelled on request" }),
  );

  const ended = await client.wait("t-1");

  expect(ended).toMatchObject({ taskId: "t-1", state: "cancelled" });
  expect(requests).toHaveLength(3);
  for (const { timeoutMs } of requests) expect(timeoutMs).toBeLessThanOrEqual(60_000);
});

it("says where the task stands when the time for a wait is up", async () => {
  const { client, endpoints } = await givenClient();
  await endpoints.answer("taskWait", ({ taskId }) =>
    taskView(taskId, { state: "queued", reason: "waits for an agent with capability echo" }),
  );

  const error = await client.wait("t-1", { timeoutMs: 50 }).catch((caught: unknown) => caught);

  expect(error).toMatchObject({ code: "REQUEST_TIMED_OUT", details: { taskId: "t-1", state: "queued" } });
  expect(error).toHaveProperty("message", expect.stringContaining("waits for an agent"));
});

it("shows where the task stands when the time of a look is up, and that it ended otherwise", async () => {
  const { client, endpoints } = await givenClient();
  await endpoints.answer("taskWait", ({ taskId, timeoutMs }) =>
    taskView(taskId, { state: timeoutMs === 0 ? "queued" : "completed" }),
  );

  expect(await client.waitAtMost("t-1", { timeoutMs: 0 })).toMatchObject({ state: "queued" });
  expect(await client.waitAtMost("t-1", { timeoutMs: 50 })).toMatchObject({ state: "completed" });
});

it("gives up any question with its time, or with its signal", async () => {
  const { client } = await givenClient();
  const signal = AbortSignal.abort(new Error("enough"));

  await expect(client.get("t-1", { timeoutMs: 100 })).rejects.toMatchObject({ code: "NO_RESPONDERS" });
  await expect(client.list({}, { timeoutMs: 100 })).rejects.toMatchObject({ code: "NO_RESPONDERS" });
  await expect(client.status({ signal })).rejects.toThrow("enough");
  await expect(client.cancel("t-1", { signal })).rejects.toThrow("enough");
});

it("sends nothing while the connection is lost, says so, and goes on when it is back", async () => {
  const { client, endpoints } = await givenClient(300);
  await endpoints.answer("taskSubmit", ({ messageId }) => ({ taskId: messageId }));
  await nats.kill();
  // Noticed in a moment; the first questions may still fall into the gap.
  const lost = await untilHolds(
    "the client has noticed",
    () => client.submit({ type: "echo" }).catch((caught: unknown) => caught),
    (caught) => caught instanceof PerdureError && caught.code === "CONNECTION_FAILED",
  );
  await nats.restart();
  const messageId = "5f0c7b1e-0f5a-4a9e-9a53-1d2f0f4b8a11";
  const back = await client.submit({ type: "echo" }, { messageId, timeoutMs: 10_000 });

  expect(lost).toMatchObject({ details: { outcome: "untouched" } });
  expect(back.taskId).toBe(messageId);
});

it("ends a wait with the reason of its signal", async () => {
  const { client, endpoints } = await givenClient();
  const requests = await endpoints.answer("taskWait", () => null);
  const leaving = new AbortController();
  const waited = client.wait("t-1", { signal: leaving.signal });
  await until("the question arrived", () => requests.length > 0);

  leaving.abort(new Error("lost interest"));

  await expect(waited).rejects.toThrow("lost interest");
});

it("ends a wait that nobody can answer when the client is closed", async () => {
  const { client } = await givenClient();
  const waited = client.wait("t-1");

  await client.close();
  await client.close();

  await expect(waited).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
});

it("throws what the task's code threw for a result that is none", async () => {
  const { client, endpoints } = await givenClient();
  const failure = {
    type: "FRAME_MISSING",
    message: "no such frame",
    stack: "FRAME_MISSING: no such frame\n at agent.ts:1",
  };
  await endpoints.answer("taskWait", ({ taskId }) => taskView(taskId, { state: "failed", attempt: 3, error: failure }));

  const error = await client.result("t-1").catch((caught: unknown) => caught);

  expect(error).toBeInstanceOf(TaskFailedError);
  expect(error).toMatchObject({
    taskId: "t-1",
    state: "failed",
    attempt: 3,
    failure,
    cause: { name: "FRAME_MISSING", message: "no such frame", stack: failure.stack },
  });
});

it.each(["cancelled", "timed_out"])("throws for the result of a task that ended %s", async (state) => {
  const { client, endpoints } = await givenClient();
  await endpoints.answer("taskWait", ({ taskId }) => taskView(taskId, { state }));

  await expect(client.result("t-1")).rejects.toMatchObject({ name: "TaskFailedError", state });
});

it("passes a W3C trace context on as a header, and refuses what is none", async () => {
  const { client } = await givenClient();
  const namespace = newNamespace();
  const traced = await connectClient({ connection: await nats.connect(), namespace });
  const connection = await nats.connect();
  const headers: unknown[] = [];
  connection.subscribe(subjectsOf(namespace).taskSubmit, (message) => {
    headers.push(message.header("traceparent"));
    connection.publish(message.reply ?? "", JSON.stringify({ ...givenEnvelope, taskId: "t-1" }));
  });
  await connection.flush();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  await traced.submit({ type: "echo" }, { traceparent });

  expect(headers).toEqual([traceparent]);
  await expect(client.submit({ type: "echo" }, { traceparent: "hello" })).rejects.toMatchObject({
    code: "INVALID_MESSAGE",
  });
});

it("asks for tasks, cancels one and has one explained", async () => {
  const { client, endpoints } = await givenClient();
  await endpoints.answer("taskGet", ({ taskId }) => taskView(taskId, { state: "running" }));
  await endpoints.answer("taskCancel", ({ taskId }) => taskView(taskId, { state: "cancelled" }));
  await endpoints.answer("taskExplain", ({ taskId }) => ({
    explanation: { taskId, state: "queued", reason: "waits for an agent" },
  }));
  const lists = await endpoints.answer("taskList", () => ({ tasks: [taskView("t-1")["task"]], total: 7 }));

  expect((await client.get("t-1")).state).toBe("running");
  expect((await client.cancel("t-1")).state).toBe("cancelled");
  expect(await client.explain("t-1")).toBe("waits for an agent");
  expect(await client.list({ states: ["queued"], limit: 1 })).toMatchObject({ total: 7, tasks: [{ taskId: "t-1" }] });
  expect(lists[0]).toMatchObject({ states: ["queued"], limit: 1 });
  await expect(client.list({ limit: 0 })).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
});

it("asks for the system's health", async () => {
  const { client, endpoints } = await givenClient();
  await endpoints.answer("health", () => ({ status: "healthy", components: { journal: { status: "healthy" } } }));

  expect(await client.health()).toMatchObject({ status: "healthy" });
});

it("passes on the events it can read, to listeners and to loops", async () => {
  const { client, endpoints } = await givenClient();
  await endpoints.answer("health", () => ({ status: "healthy", components: {} }));
  const heard: SystemEvent[] = [];
  const subscription = client.onEvent((event) => heard.push(event));
  const events = client.events();
  // Its answer shows that the server knows of the subscriptions before it.
  await client.health();

  for (const nonsense of ["", "{", "null", '{"eventType":"TASK_COMPLETED"}']) endpoints.broadcast(nonsense);
  endpoints.broadcast({ eventType: "UNHEARD_OF" });
  endpoints.broadcast({ eventType: "TASK_COMPLETED", payload: { taskId: "t-1" } });
  endpoints.broadcast({ eventType: "AGENT_LOST", payload: { agentId: "cam-1" } });

  const types: string[] = [];
  for await (const { eventType } of events) {
    types.push(eventType);
    if (types.length === 2) break;
  }
  expect(types).toEqual(["TASK_COMPLETED", "AGENT_LOST"]);
  expect(heard.map(({ eventType }) => eventType)).toEqual(types);
  subscription.unsubscribe();
});

it("ends loops over events with the client", async () => {
  const { client } = await givenClient();
  const types: string[] = [];
  const read = (async () => {
    for await (const { eventType } of client.events()) types.push(eventType);
  })();

  await client.close();

  await read;
  expect(types).toEqual([]);
});

it("leaves a connection that was lent to it open", async () => {
  const connection = await nats.connect();
  const client = await connectClient({ connection });

  await client.close();

  await connection.flush();
});

it("is refused a namespace that is none, and a server that is not there", async () => {
  await expect(connectClient({ servers: nats.url, namespace: "No.Good" })).rejects.toMatchObject({
    code: "INVALID_ID",
  });
  await expect(connectClient({ servers: "nats://127.0.0.1:1" })).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
});

it("gives each submission a message id of its own", async () => {
  const { client, endpoints } = await givenClient();
  const requests = await endpoints.answer("taskSubmit", ({ messageId }) => ({ taskId: messageId }));

  const handles = [await client.submit({ type: "echo" }), await client.submit({ type: "echo" })];
  await expect(client.submit({ type: "echo" }, { messageId: "not a uuid" })).rejects.toMatchObject({
    code: "INVALID_MESSAGE",
  });
  const chosen = randomUUID();
  expect((await client.submit({ type: "echo" }, { messageId: chosen })).taskId).toBe(chosen);

  expect(new Set(handles.map(({ taskId }) => taskId)).size).toBe(2);
  expect(requests).toHaveLength(3);
});
