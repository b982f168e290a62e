/** Every operation, asked as a program without NATS would. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { untilSome } from "../support/until.js";
import { errorOf, HttpSystem, taskOf } from "./given-http.js";

const nats = useNats();
let system: HttpSystem;

beforeAll(async () => {
  system = await HttpSystem.start(nats.url);
});
afterAll(() => system[Symbol.asyncDispose]());

const own = (name: string): string => `${name}-${randomUUID().slice(0, 8)}`;
const json = { "content-type": "application/json" };

it("takes a task, says where it is, and shows it", async () => {
  const taskId = own("t");

  const submitted = await system.post("/v1/tasks", {
    task: { taskId, type: "ocr", input: { page: 1 }, priority: "high", metadata: { customer: "c-7" } },
  });
  const location = submitted.headers.get("location") ?? "";

  expect(submitted.status).toBe(202);
  expect(submitted.body).toEqual({ taskId });
  expect(taskOf(await system.get(location))).toMatchObject({
    taskId,
    type: "ocr",
    input: { page: 1 },
    priority: "high",
    metadata: { customer: "c-7" },
    state: "queued",
  });
});

it("takes a batch whole, whose members depend on each other", async () => {
  const [first, second] = [own("t"), own("t")];

  const tasks = [
    { taskId: second, type: "ocr", dependencies: [first] },
    { taskId: first, type: "ocr" },
  ];
  const { status, body, headers } = await system.post("/v1/tasks", { tasks });

  expect({ status, body }).toEqual({ status: 202, body: { taskIds: [second, first] } });
  expect(headers.get("location")).toBeNull();
  expect(taskOf(await system.get(`/v1/tasks/${second}`))).toMatchObject({ state: "waiting", dependencies: [first] });
});

it("refuses a batch whole for one member", async () => {
  const [good, bad] = [own("t"), own("t")];

  const answer = await system.post("/v1/tasks", {
    tasks: [
      { taskId: good, type: "ocr" },
      { taskId: bad, type: "ocr", dependencies: ["nobody"] },
    ],
  });

  expect(answer.status).toBe(400);
  expect(errorOf(answer)).toMatchObject({ code: "DEPENDENCY_UNKNOWN" });
  expect((await system.get(`/v1/tasks/${good}`)).status).toBe(404);
});

it("passes a preferred agent and the trace context on", async () => {
  const [type, chosen] = [own("ocr"), own("agent")];
  await system.engine.agent(own("agent"), { capabilities: [type] });
  const agent = await system.engine.agent(chosen, { capabilities: [type] });
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  await system.post("/v1/tasks", { task: { type }, preferredAgentId: chosen }, { headers: { traceparent } });
  await agent.nextTask();

  expect(agent.assignments.received[0]?.headers.get("traceparent")).toBe(traceparent);
});

it("ignores a trace context that is none", async () => {
  const headers = { traceparent: "hello" };

  expect((await system.post("/v1/tasks", { task: { type: "ocr" } }, { headers })).status).toBe(202);
});

it("names a task after its Idempotency-Key, so that asking again submits nothing new", async () => {
  const key = randomUUID();
  const submit = (headers: Record<string, string>, more = {}) =>
    system.post("/v1/tasks", { task: { type: "ocr" }, ...more }, { headers });

  const first = await submit({ "idempotency-key": key });
  const quoted = await submit({ "idempotency-key": `"${key}"` });
  const inBody = await submit({}, { messageId: key });

  expect([first, quoted, inBody].map(({ status, body }) => [status, body["taskId"]])).toEqual([
    [202, key],
    [202, key],
    [202, key],
  ]);
});

it.each([
  ["an Idempotency-Key that is no UUID", { "idempotency-key": "monday" }, { task: { type: "ocr" } }, "INVALID_MESSAGE"],
  [
    "an Idempotency-Key beside another messageId",
    { "idempotency-key": randomUUID() },
    { task: { type: "ocr" }, messageId: randomUUID() },
    "INVALID_MESSAGE",
  ],
  ["neither task nor tasks", {}, {}, "INVALID_MESSAGE"],
  ["both task and tasks", {}, { task: { type: "a" }, tasks: [{ type: "a" }] }, "INVALID_MESSAGE"],
  ["a list", {}, [{ type: "ocr" }], "INVALID_MESSAGE"],
  ["null", {}, null, "INVALID_MESSAGE"],
  ["no JSON", {}, '{"task":', "INVALID_MESSAGE"],
  ["nothing", {}, "", "INVALID_MESSAGE"],
  ["a thousand levels", {}, `{"task":{"type":"a","input":${"[".repeat(1000)}${"]".repeat(1000)}}}`, "INVALID_MESSAGE"],
  ["an id that is none", {}, { task: { taskId: "a.b", type: "ocr" } }, "INVALID_ID"],
  ["a priority that is none", {}, { task: { type: "ocr", priority: "urgent" } }, "INVALID_PRIORITY"],
  [
    "a circle",
    {},
    {
      tasks: [
        { taskId: "x1", type: "a", dependencies: ["x2"] },
        { taskId: "x2", type: "a", dependencies: ["x1"] },
      ],
    },
    "DEPENDENCY_CYCLE",
  ],
])("refuses %s with 400", async (_, headers, body, code) => {
  const answer = await system.post("/v1/tasks", body, { headers: { ...json, ...headers } });

  expect({ status: answer.status, code: errorOf(answer)["code"] }).toEqual({ status: 400, code });
});

it.each([
  ["a field that is too large", { task: { type: "a", input: "x".repeat(200_000) } }, "PAYLOAD_TOO_LARGE"],
  ["too many tasks", { tasks: Array.from({ length: 2_001 }, () => ({ type: "a" })) }, "BATCH_TOO_LARGE"],
  ["a body that is too large", { task: { type: "a", input: "x".repeat(1_100_000) } }, "PAYLOAD_TOO_LARGE"],
])("refuses %s with 413", async (_, body, code) => {
  const answer = await system.post("/v1/tasks", body);

  expect({ status: answer.status, code: errorOf(answer)["code"] }).toEqual({ status: 413, code });
});

it("refuses another task under an id that is taken", async () => {
  const taskId = await system.submitted({ taskId: own("t"), type: "ocr" });

  const same = await system.post("/v1/tasks", { task: { taskId, type: "ocr" } });
  const other = await system.post("/v1/tasks", { task: { taskId, type: "translate" } });

  expect(same.status).toBe(202);
  expect({ status: other.status, code: errorOf(other)["code"] }).toEqual({ status: 409, code: "ID_CONFLICT" });
});

it("carries any JSON there and back", async () => {
  const input = { "": [null, 0, false, "", 1e-7], __proto__x: { y: "ü\u2028" } };
  const text = `{"task":{"type":"ocr","input":${JSON.stringify(input).replace("__proto__x", "__proto__")}}}`;
  const { body } = await system.post("/v1/tasks", text);

  const { text: shown } = await system.get(`/v1/tasks/${String(body["taskId"])}`);

  expect(shown).toContain(JSON.stringify(input).replace("__proto__x", "__proto__"));
});

it("lists tasks by state, type and agent, as many as asked for", async () => {
  const type = own("ocr");
  const ids: string[] = [];
  for (let index = 0; index < 3; index += 1) ids.push(await system.submitted({ type }));
  await system.post(`/v1/tasks/${ids[0]}/cancel`);
  const list = async (query: string) => {
    const { body } = await system.get(`/v1/tasks?type=${type}${query}`);
    return { ids: (body["tasks"] as { taskId: string }[]).map(({ taskId }) => taskId), total: body["total"] };
  };

  expect(await list("")).toEqual({ ids: ids.toReversed(), total: 3 });
  expect(await list("&limit=1")).toEqual({ ids: [ids[2]], total: 3 });
  expect(await list("&states=cancelled")).toEqual({ ids: [ids[0]], total: 1 });
  expect(await list("&states=cancelled&states=queued")).toEqual({ ids: ids.toReversed(), total: 3 });
  expect(await list("&agentId=nobody")).toEqual({ ids: [], total: 0 });
});

it("finds workflows by their search attributes", async () => {
  const [ann, bo] = [own("ann"), own("bo")];
  const start = (customer: string, floor: number | string) =>
    system.submitted({ type: "workflow:order", searchAttributes: { customer, floor } });
  const ids = [await start(ann, 3), await start(ann, "3"), await start(bo, 3)];
  const list = async (...terms: string[]) => {
    const { body } = await system.get(
      `/v1/tasks?${new URLSearchParams(terms.map((term): [string, string] => ["search", term]))}`,
    );
    return (body["tasks"] as { taskId: string }[]).map(({ taskId }) => taskId);
  };

  expect(await list(`customer=${ann}`)).toEqual([ids[1], ids[0]]);
  expect(await list(`customer=${ann}`, "floor=3")).toEqual([ids[0]]);
  expect(await list(`customer="${ann}"`, 'floor="3"')).toEqual([ids[1]]);
});

it("resets a workflow once for each Idempotency-Key, and says where it cannot", async () => {
  const type = own("workflow:order");
  const worker = await system.engine.agent(own("worker"), { capabilities: [type] });
  const taskId = await system.submitted({ type });
  const activation = { commands: [{ type: "CompleteWorkflow", output: 1 }], steps: [], queries: [] };
  worker.result(await worker.nextTask(), { status: "completed", activation });
  await system.engine.wait(taskId);
  const path = `/v1/workflows/${taskId}/reset`;
  const headers = { "idempotency-key": randomUUID() };

  const first = await system.post(path, { to: "firstWorkflowTask", reason: "a bug" }, { headers });
  const again = await system.post(path, { to: "firstWorkflowTask", reason: "a bug" }, { headers });

  expect(first).toMatchObject({ status: 200, body: { taskId, runId: expect.any(String) } });
  expect(again.body).toEqual(first.body);
  expect(taskOf(await system.get(`/v1/tasks/${taskId}`))).toMatchObject({ state: "running" });
  const refused = [
    await system.post(path, { to: 7 }),
    await system.post(path),
    await system.post("/v1/workflows/nobody/reset", { to: 1 }),
  ];
  expect(refused.map((answer) => [answer.status, errorOf(answer)["code"]])).toEqual([
    [409, "RESET_REFUSED"],
    [400, "INVALID_MESSAGE"],
    [404, "NOT_FOUND"],
  ]);
});

it("says how far the update has come that a workflow was submitted with", async () => {
  const type = own("workflow:order");
  const worker = await system.engine.agent(own("worker"), { capabilities: [type] });
  const update = { name: "change", input: 5, updateId: "u-1" };
  const submitted = system.post("/v1/tasks", { task: { type, update } });
  const commands = [
    { type: "AcceptUpdate", updateId: "u-1" },
    { type: "CompleteUpdate", updateId: "u-1", output: 8 },
  ];
  const answer = { status: "completed", activation: { commands, steps: [], queries: [] } };
  worker.result(await worker.nextTask(), answer);

  const { status, body } = await submitted;

  expect({ status, body }).toMatchObject({
    status: 202,
    body: { taskId: expect.any(String), update: { updateId: "u-1", stage: "completed", output: 8 } },
  });
});

it.each([
  ["?limit=0", "INVALID_MESSAGE"],
  ["?limit=1001", "INVALID_MESSAGE"],
  ["?limit=ten", "INVALID_MESSAGE"],
  ["?limit=1&limit=2", "INVALID_MESSAGE"],
  ["?limit=", "INVALID_MESSAGE"],
  ["?states=asleep", "INVALID_MESSAGE"],
  ["?state=queued", "INVALID_MESSAGE"],
  ["?__proto__=1", "INVALID_MESSAGE"],
  ["?agentId=a.b", "INVALID_ID"],
  ["?search=customer", "INVALID_MESSAGE"],
  ["?search=customer%3Dnull", "INVALID_MESSAGE"],
  ["?search=a%3D1&search=a%3D2", "INVALID_MESSAGE"],
  ["?searchAttributes=ann", "INVALID_MESSAGE"],
])("refuses the filter %s", async (query, code) => {
  const answer = await system.get(`/v1/tasks${query}`);

  expect({ status: answer.status, code: errorOf(answer)["code"] }).toEqual({ status: 400, code });
});

it("answers a wait when the task ends", async () => {
  const type = own("ocr");
  const agent = await system.engine.agent(own("agent"), { capabilities: [type] });
  const taskId = await system.submitted({ type });
  const waiting = system.get(`/v1/tasks/${taskId}/wait`);
  // Once this one was answered, that one waits.
  await system.get(`/v1/tasks/${taskId}/wait?timeoutMs=100`);
  agent.complete(await agent.nextTask(), { pages: 3 });

  const { status, body } = await waiting;

  expect(status).toBe(200);
  expect(body["task"]).toMatchObject({ taskId, state: "completed", output: { pages: 3 } });
});

it("answers a wait whose time is up with the task as it is", async () => {
  const taskId = await system.submitted({ type: own("ocr") });

  const waited = await system.get(`/v1/tasks/${taskId}/wait?timeoutMs=50`);
  const looked = await system.get(`/v1/tasks/${taskId}/wait?timeoutMs=0`);

  expect([waited, looked].map((answer) => [answer.status, taskOf(answer)["state"]])).toEqual([
    [200, "queued"],
    [200, "queued"],
  ]);
});

it("cancels a task, once and again", async () => {
  const taskId = await system.submitted({ type: own("ocr") });

  const first = await system.post(`/v1/tasks/${taskId}/cancel`);
  // As clients do that say JSON of everything they post.
  const again = await system.post(`/v1/tasks/${taskId}/cancel`, undefined, { headers: json });

  expect([first, again].map((answer) => [answer.status, taskOf(answer)["state"]])).toEqual([
    [200, "cancelled"],
    [200, "cancelled"],
  ]);
});

it("explains what a task waits for", async () => {
  const type = own("ocr");
  const taskId = await system.submitted({ type });

  const { body } = await system.get(`/v1/tasks/${taskId}/explain`);

  expect(body).toEqual({ explanation: { taskId, reason: expect.stringContaining(type) } });
});

it.each([
  ["GET", "/v1/tasks/nobody"],
  ["GET", "/v1/tasks/nobody/wait"],
  ["GET", "/v1/tasks/nobody/explain"],
  ["POST", "/v1/tasks/nobody/cancel"],
])("says at once that there is no such task: %s %s", async (method, path) => {
  const answer = await system.ask(method, path);

  expect({ status: answer.status, error: errorOf(answer) }).toMatchObject({
    status: 404,
    error: { code: "NOT_FOUND", details: { taskId: "nobody" } },
  });
});

it.each(["a.b", "a%2Fb", "%zz", "%00", "*", "x".repeat(129), "-a", "%C3%BC"])("refuses %s for an id", async (id) => {
  const answer = await system.get(`/v1/tasks/${id}`);

  expect({ status: answer.status, code: errorOf(answer)["code"] }).toEqual({ status: 400, code: "INVALID_ID" });
});

it("shows agents, the system's status and its health", async () => {
  const agentId = own("agent");
  await system.engine.agent(agentId, { capabilities: [own("ocr")], metadata: { floor: 2 } });

  const agents = await system.get("/v1/agents");
  const status = await system.get("/v1/status");
  const health = await system.get("/v1/health");

  expect(agents.body["agents"]).toContainEqual(expect.objectContaining({ agentId, metadata: { floor: 2 } }));
  expect(status.body).toMatchObject({ orchestratorStatus: "leading", namespace: system.engine.namespace });
  expect(health.body).toMatchObject({ components: { journal: { status: "healthy" } } });
});

it("serves metrics for Prometheus", async () => {
  const { status, headers, text } = await system.get("/metrics");

  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(text).toMatch(/^# HELP perdure_/m);
});

it("serves the document that describes it", async () => {
  const { status, body } = await system.get("/v1/openapi.json");

  expect(status).toBe(200);
  expect(body).toMatchObject({ openapi: "3.1.0", paths: { "/v1/tasks": {} } });
});

it("is alive, and ready", async () => {
  expect((await system.get("/healthz")).body).toEqual({ status: "alive" });
  // Degraded where tasks wait and no agent is there.
  expect((await system.get("/readyz")).text).toMatch(/^\{"status":"(healthy|degraded)"\}$/);
});

it("answers HEAD with the head of GET", async () => {
  const { status, headers, text } = await system.ask("HEAD", "/v1/status");

  expect({ status, text, type: headers.get("content-type") }).toEqual({
    status: 200,
    text: "",
    type: "application/json",
  });
});

it.each([
  ["DELETE", "/v1/tasks", "POST, GET, HEAD"],
  ["OPTIONS", "/v1/tasks/t-1/cancel", "POST"],
  ["PUT", "/v1/tasks/t-1", "GET, HEAD"],
  ["POST", "/healthz", "GET, HEAD"],
  ["HEAD", "/v1/events", "GET"],
])("refuses %s %s and says what there is", async (method, path, allow) => {
  const { status, headers } = await system.ask(method, path);

  expect({ status, allow: headers.get("allow") }).toEqual({ status: 405, allow });
});

it.each(["/", "/v1", "/v1/tasks/", "/V1/tasks", "/v1/tasks/a/b", "//healthz", "/v1/nix?a=b"])(
  "says that there is nothing at %s",
  async (path) => {
    const answer = await system.get(path);

    expect({ status: answer.status, code: errorOf(answer)["code"] }).toEqual({
      status: 404,
      code: "HTTP_ROUTE_UNKNOWN",
    });
  },
);

it.each([
  ["a form", "application/x-www-form-urlencoded", {}],
  ["text", "text/plain", {}],
  ["compressed JSON", "application/json", { "content-encoding": "gzip" }],
])("refuses a body that is %s", async (_, type, more) => {
  const headers = { "content-type": type, ...more };
  const answer = await system.post("/v1/tasks", JSON.stringify({ task: { type: "ocr" } }), { headers });

  expect({ status: answer.status, code: errorOf(answer)["code"] }).toEqual({
    status: 415,
    code: "HTTP_CONTENT_TYPE_REFUSED",
  });
});

it("frees the wait of a caller that hangs up", async () => {
  const taskId = await system.submitted({ type: own("ocr") });
  const hangUp = new AbortController();
  const waiting = system.get(`/v1/tasks/${taskId}/wait`, { signal: hangUp.signal });
  const aborted = untilAborted(taskId);
  await aborted.asked;
  hangUp.abort();

  await expect(waiting).rejects.toThrow("aborted");
  expect(await aborted.reason).toEqual(new Error("the caller hung up"));
});

/** Looks over the shoulder of the client: that the wait was asked, and with what it was ended. */
function untilAborted(taskId: string): { readonly asked: Promise<unknown>; readonly reason: Promise<unknown> } {
  const seen: { signal?: AbortSignal | undefined } = {};
  const { client } = system;
  const original = client.waitAtMost.bind(client);
  client.waitAtMost = async (id, options) => {
    if (id === taskId) seen.signal = options.signal;
    return await original(id, options);
  };
  return {
    asked: untilSome("the wait is asked", () => seen.signal),
    reason: untilSome("the wait is ended", () =>
      seen.signal?.aborted === true ? (seen.signal.reason as unknown) : null,
    ),
  };
}
