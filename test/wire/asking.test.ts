import { describe, expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { untilHolds } from "../support/until.js";
import { Engine, type Json, jsonOf, shown, withEnvelope } from "./peers.js";

const nats = useNats();

describe("get", () => {
  it("shows a task as it was submitted", async () => {
    await using engine = await Engine.start(nats.url);
    const at = Date.now();
    await engine.submitted({ taskId: "t-1", type: "ocr", input: { page: 1 }, priority: "low", metadata: { a: 1 } });
    const task = await engine.get("t-1");
    expect(task).toEqual({
      taskId: "t-1",
      type: "ocr",
      state: "queued",
      priority: "low",
      attempt: 0,
      maximumAttempts: 3,
      input: { page: 1 },
      metadata: { a: 1 },
      reason: expect.stringContaining("ocr"),
      dependencies: [],
      requiredCapabilities: ["ocr"],
      submittedAt: expect.any(Number),
    });
    expect(task["submittedAt"]).toBeGreaterThanOrEqual(at);
  });

  it("follows a task through its states", async () => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1");
    await engine.submitted({ taskId: "t-1", type: "ocr" });
    const task = await agent.nextTask();
    expect(await engine.get("t-1")).toMatchObject({
      state: "assigned",
      attempt: 1,
      agentId: "k-1",
      assignedAt: expect.any(Number),
      reason: expect.stringContaining("k-1"),
    });
    agent.accept(task);
    expect(await engine.untilState("t-1", "running")).toMatchObject({ reason: expect.stringContaining("k-1") });
    agent.complete(task, "read");
    const ended = await engine.wait("t-1");
    expect(ended).toMatchObject({ endedAt: expect.any(Number), reason: expect.stringContaining("k-1") });
    expect(await engine.get("t-1")).toEqual(ended);
  });

  it("never tells the token of an attempt", async () => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1");
    const taskId = await engine.submitted({ type: "ocr" });
    const { token } = await agent.takeTask();
    await engine.untilState(taskId, "running");
    const said = [
      await engine.get(taskId),
      await engine.ask("task.list"),
      await engine.status(),
      engine.eventsLike("TASK_SUBMITTED"),
    ];
    expect(JSON.stringify(said)).not.toContain(token);
  });
});

describe("wait", () => {
  it("answers when the task ends, everybody who waits for it", async () => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1");
    const taskId = await engine.submitted({ type: "ocr" });
    const task = await agent.takeTask();
    const waiting = [engine.wait(taskId), engine.wait(taskId), engine.wait(taskId)];
    // Requests of one connection arrive in their order: this answer says that the three wait.
    await engine.get(taskId);
    agent.complete(task, "read");
    for (const ended of await Promise.all(waiting)) expect(ended).toMatchObject({ state: "completed", output: "read" });
  });

  it.each([0, 150])("answers with the state as it is after timeoutMs %i", async (timeoutMs) => {
    await using engine = await Engine.start(nats.url);
    const taskId = await engine.submitted({ type: "ocr" });
    const askedAt = performance.now();
    expect(await engine.wait(taskId, timeoutMs)).toMatchObject({ taskId, state: "queued", reason: expect.any(String) });
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(timeoutMs - 5);
  });

  it.each([-1, 1.5, "1s"])("refuses timeoutMs %j", async (timeoutMs) => {
    await using engine = await Engine.start(nats.url);
    const taskId = await engine.submitted({ type: "ocr" });
    expect(await engine.ask("task.wait", { taskId, timeoutMs })).toMatchObject({
      error: { code: "INVALID_MESSAGE", details: { fields: ["timeoutMs"] } },
    });
  });

  it("tells whoever waits to ask again when the orchestrator leaves, instead of saying nothing", async () => {
    await using engine = await Engine.start(nats.url);
    const taskId = await engine.submitted({ type: "ocr" });
    const waiting = engine.ask("task.wait", { taskId, timeoutMs: 60_000 });
    await engine.get(taskId);
    await engine.orchestrator.stop();
    expect(await waiting).toMatchObject({ error: { code: "NOT_READY" } });
  });
});

describe("list", () => {
  it("lists the newest tasks first, without what they carry, and says how many there are", async () => {
    await using engine = await Engine.start(nats.url);
    for (const taskId of ["a", "b", "c"])
      await engine.submitted({ taskId, type: "ocr", input: "heavy", metadata: { a: 1 } });
    const { tasks, total } = (await engine.ask("task.list", { limit: 2 })) as unknown as {
      tasks: Json[];
      total: number;
    };
    expect(tasks.map((task) => task["taskId"])).toEqual(["c", "b"]);
    expect(total).toBe(3);
    expect(JSON.stringify(tasks)).not.toContain("heavy");
  });

  it("filters by state, type and agent", async () => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1");
    await engine.submitted({ taskId: "a", type: "ocr" });
    await engine.submitted({ taskId: "b", type: "scan" });
    await engine.submitted({ taskId: "c", type: "ocr" });
    await agent.takeTask();
    await engine.untilState("a", "running");
    const idsOf = async (filter: Json) =>
      ((await engine.ask("task.list", filter)) as unknown as { tasks: Json[] }).tasks.map((task) => task["taskId"]);
    expect(await idsOf({ states: ["running"] })).toEqual(["a"]);
    expect(await idsOf({ states: ["running", "queued"], type: "ocr" })).toEqual(["c", "a"]);
    expect(await idsOf({ type: "scan" })).toEqual(["b"]);
    expect(await idsOf({ agentId: "k-1" })).toEqual(["a"]);
    expect(await idsOf({ agentId: "k-9" })).toEqual([]);
    expect(await idsOf({ states: [] })).toEqual([]);
  });

  it.each<Json>([{ limit: 0 }, { limit: 1_001 }, { states: ["cancelling"] }, { states: "queued" }, { type: "" }])(
    "refuses the filter %j",
    async (filter) => {
      await using engine = await Engine.start(nats.url);
      expect(await engine.ask("task.list", filter)).toMatchObject({ error: { code: "INVALID_MESSAGE" } });
    },
  );

  it("cuts a page that does not fit into a message", async () => {
    await using engine = await Engine.start(nats.url);
    const agent = await engine.agent("k-1", { maxConcurrentTasks: 20 });
    for (let index = 0; index < 12; index += 1) {
      const taskId = await engine.submitted({ type: "ocr" });
      const { token } = await agent.nextTask();
      agent.report({ state: "progress", taskId, token, progress: "x".repeat(120_000) });
      await engine.untilState(taskId, "running");
    }
    const { tasks, total } = (await engine.ask("task.list")) as unknown as { tasks: Json[]; total: number };
    expect(total).toBe(12);
    expect(tasks.length).toBeGreaterThan(5);
    expect(tasks.length).toBeLessThan(12);
  });
});

it("explains what a task waits for", async () => {
  await using engine = await Engine.start(nats.url);
  await engine.submitted({ taskId: "a", type: "ocr" });
  await engine.submitted({ taskId: "b", type: "ocr", dependencies: ["a"] });
  expect(await engine.ask("task.explain", { taskId: "b" })).toEqual({
    messageId: expect.any(String),
    timestamp: expect.any(Number),
    explanation: { taskId: "b", state: "waiting", reason: expect.stringContaining("a (queued)") },
  });
});

it.each(["task.get", "task.wait", "task.cancel", "task.explain"])(
  "answers NOT_FOUND to %s of an unknown task",
  async (subject) => {
    await using engine = await Engine.start(nats.url);
    const message = await engine.nats.request(
      `${engine.namespace}.orchestrator.${subject}`,
      JSON.stringify(withEnvelope({ taskId: "nobody" })),
    );
    expect(jsonOf(message.data)).toEqual({
      messageId: expect.any(String),
      timestamp: expect.any(Number),
      error: { code: "NOT_FOUND", message: expect.stringContaining("nobody"), details: { taskId: "nobody" } },
    });
    expect(message.headers.get("Nats-Service-Error")).toBe("NOT_FOUND");
    expect(message.headers.get("Nats-Service-Error-Code")).toBe("404");
  },
);

it.each(["task.get", "task.wait", "task.cancel", "task.explain"])(
  "answers INVALID_ID to %s of what is no id",
  async (subject) => {
    await using engine = await Engine.start(nats.url);
    for (const taskId of ["a.b", "a b", ">", "*", "", "x".repeat(5_000), 1, null, ["a"], { id: "a" }]) {
      expect(await engine.ask(subject, { taskId })).toMatchObject({ error: { code: "INVALID_ID" } });
    }
    expect(await engine.ask(subject)).toMatchObject({ error: { code: "INVALID_MESSAGE" } });
  },
);

it("says how it is: the orchestrator, its agents and its tasks", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 1, metadata: { zone: "a" } });
  const deaf = await engine.agent("k-2", { capabilities: ["scan"] });
  deaf.assignments.unsubscribe();
  await deaf.nats.flush();
  const running = await engine.submitted({ type: "ocr" });
  await agent.takeTask();
  await engine.submitted({ type: "ocr" });
  await engine.submitted({ type: "ocr", dependencies: [running] });
  await engine.submitted({ type: "scan" });
  await engine.untilAgent("k-2", "unhealthy");
  expect(await engine.status()).toMatchObject({
    orchestratorStatus: "leading",
    agentCount: 2,
    healthyAgentCount: 1,
    unhealthyAgentCount: 1,
    activeTaskCount: 1,
    queuedTaskCount: 2,
    waitingTaskCount: 1,
    backoffTaskCount: 0,
    namespace: engine.namespace,
    version: expect.any(String),
    agentStatuses: [
      {
        agentId: "k-1",
        state: "healthy",
        incarnation: 1,
        capabilities: ["ocr"],
        activeTaskCount: 1,
        maxConcurrentTasks: 1,
        registeredAt: expect.any(Number),
        lastSeenAt: expect.any(Number),
        metrics: {},
        metadata: { zone: "a" },
      },
      { agentId: "k-2", state: "unhealthy", reason: expect.any(String) },
    ],
  });
});

it("answers the status of more agents than fit into a message, and says how many it left out", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.silentAgent("k-0");
  const metadata = { text: "x".repeat(120_000) };
  for (let index = 0; index < 12; index += 1) await agent.register({ agentId: `k-${index}`, metadata });
  const status = await engine.status();
  expect(status).toMatchObject({ agentCount: 12, agentStatusesLeftOut: 0 });
  expect(status.agentStatuses).toHaveLength(12);
  expect(status.agentStatuses[0]).not.toHaveProperty("metadata");
});

it("answers a request for its health", async () => {
  await using engine = await Engine.start(nats.url);
  expect(await engine.ask("health")).toMatchObject({
    status: "healthy",
    components: { agents: { status: "healthy" } },
  });
  await engine.submitted({ type: "ocr" });
  expect(await engine.ask("health")).toMatchObject({
    status: "degraded",
    components: { agents: { status: "degraded", detail: "none is registered and 1 tasks wait" } },
  });
});

describe("as a NATS service (ADR-32)", () => {
  const subjects = [
    "task.submit",
    "task.get",
    "task.wait",
    "task.cancel",
    "task.explain",
    "task.list",
    "system.status",
    "health",
    "workflow.signal",
    "workflow.query",
    "workflow.update",
    "workflow.cancel",
    "workflow.terminate",
    "workflow.reset",
    "workflow.history",
  ];

  /** Others on the same server answer too: the one asked for is told by its namespace. */
  async function own(engine: Engine, verb: string): Promise<Json> {
    const inbox = `_INBOX.micro-${engine.namespace}`;
    const answers = engine.nats.subscribe(inbox);
    engine.nats.publish(`$SRV.${verb}`, "", { reply: inbox });
    const isOwn = (data: Buffer) => jsonOf<{ metadata: Json }>(data).metadata["namespace"] === engine.namespace;
    return jsonOf<Json>((await answers.first("its answer", ({ data }) => isOwn(data))).data);
  }

  it("answers PING, INFO and STATS", async () => {
    await using engine = await Engine.start(nats.url);
    const ping = await own(engine, "PING");
    const identity = { name: "perdure", id: ping["id"], version: expect.stringMatching(/^\d+\.\d+\.\d+/) };
    expect(ping).toMatchObject({ type: "io.nats.micro.v1.ping_response", ...identity });
    const info = (await own(engine, "INFO")) as Json & { endpoints: Json[] };
    expect(info).toMatchObject({ type: "io.nats.micro.v1.info_response", ...identity });
    expect(info.endpoints.map((endpoint) => endpoint["subject"])).toEqual(
      subjects.map((subject) => `${engine.namespace}.orchestrator.${subject}`),
    );
    await engine.ask("task.list");
    const stats = (await own(engine, "STATS")) as Json & { endpoints: Json[] };
    expect(stats).toMatchObject({ type: "io.nats.micro.v1.stats_response", ...identity });
    expect(stats.endpoints.find((endpoint) => endpoint["name"] === "task-list")).toMatchObject({ num_requests: 1 });
    const direct = await engine.nats.request(`$SRV.PING.perdure.${ping["id"]}`, "");
    expect(jsonOf(direct.data)).toEqual(ping);
  });

  it("has nobody listening after it stopped, so that clients learn it at once", async () => {
    await using engine = await Engine.start(nats.url);
    await engine.orchestrator.stop();
    for (const subject of subjects) {
      const { status } = await engine.nats.request(`${engine.namespace}.orchestrator.${subject}`, "{}");
      expect(status).toBe(503);
    }
  });
});

it("marks no answer as an error that is none", async () => {
  await using engine = await Engine.start(nats.url);
  const body = JSON.stringify(withEnvelope({ task: { type: "ocr" } }));
  const { headers } = await engine.nats.request(`${engine.namespace}.orchestrator.task.submit`, body);
  expect([...headers]).toEqual([]);
});

it("answers a request whose reply subject is wherever the client wants it", async () => {
  await using engine = await Engine.start(nats.url);
  const answers = engine.nats.subscribe("some.place.of.mine");
  const taskId = await engine.submitted({ type: "ocr" });
  engine.nats.publish(`${engine.namespace}.orchestrator.task.get`, JSON.stringify(withEnvelope({ taskId })), {
    reply: "some.place.of.mine",
  });
  expect(shown(jsonOf((await answers.first("the answer")).data))).toMatchObject({ taskId });
});

it("carries out a request that wants no reply", async () => {
  await using engine = await Engine.start(nats.url);
  engine.nats.publish(
    `${engine.namespace}.orchestrator.task.submit`,
    JSON.stringify(withEnvelope({ task: { taskId: "t-1", type: "ocr" } })),
  );
  await untilHolds(
    "the task is there",
    () => engine.ask("task.get", { taskId: "t-1" }),
    ({ task }) => task?.state === "queued",
  );
});
