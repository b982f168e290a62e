import { expect, it } from "vitest";
import { assignmentOf } from "../../src/core/views.js";
import { TaskAssignment } from "../../src/protocol/agent-message.js";
import { AgentView } from "../../src/protocol/system-message.js";
import { TaskView } from "../../src/protocol/task-message.js";
import { Engine } from "./engine.js";

function givenMixed(): Engine {
  const engine = new Engine();
  engine.submit([
    { taskId: "completed", input: { page: 1 }, metadata: { owner: "ann" } },
    { taskId: "backoff" },
    { taskId: "running", timeoutMs: 60_000 },
    { taskId: "cancelling" },
    { taskId: "queued", type: "gpu" },
    { taskId: "waiting", dependencies: ["queued"] },
  ]);
  engine.register("k-1", { maxConcurrentTasks: 4, metadata: { rack: 7 } });
  engine.complete("completed", 0);
  engine.fail("backoff");
  engine.accept("running");
  engine.cancel("cancelling");
  return engine;
}

const all = ["completed", "backoff", "running", "cancelling", "queued", "waiting"];

it("shows every task in a shape that clients can read", () => {
  const engine = givenMixed();
  const views = all.map((id) => JSON.parse(JSON.stringify(engine.core.view(engine.task(id), engine.now))) as unknown);
  expect(views.map((view) => TaskView.parse(view))).toEqual(views);
});

it("shows a task that is being cancelled as running", () => {
  const engine = givenMixed();
  expect(engine.core.view(engine.task("cancelling"), engine.now).state).toBe("running");
});

it("shows an output that is 0", () => {
  const engine = givenMixed();
  expect(engine.core.view(engine.task("completed"), engine.now)).toMatchObject({ output: 0, input: { page: 1 } });
});

it.each<[Parameters<Engine["core"]["list"]>[0], string[]]>([
  [{}, ["waiting", "queued", "cancelling", "running", "backoff", "completed"]],
  [{ states: ["running"] }, ["cancelling", "running"]],
  [{ states: ["queued", "waiting"] }, ["waiting", "queued"]],
  [{ type: "gpu" }, ["queued"]],
  [{ agentId: "k-1" }, ["cancelling", "running", "backoff", "completed"]],
  [{ agentId: "k-9" }, []],
])("lists the tasks that match %j, newest first", (filter, ids) => {
  const engine = givenMixed();
  const { tasks, total } = engine.core.list(filter, 100, engine.now);
  expect([tasks.map((task) => task.taskId), total]).toEqual([ids, ids.length]);
});

it("lists no more than asked for, and without what tasks carry", () => {
  const engine = givenMixed();
  const { tasks, total } = engine.core.list({ states: ["completed"] }, 1, engine.now);
  const [first] = engine.core.list({}, 1, engine.now).tasks;
  expect([total, tasks[0], first?.taskId]).toMatchObject([1, { taskId: "completed" }, "waiting"]);
  expect(tasks[0]).not.toHaveProperty("input");
  expect(tasks[0]).not.toHaveProperty("output");
  expect(tasks[0]).not.toHaveProperty("metadata");
});

it("sums up what there is", () => {
  const engine = givenMixed();
  engine.register("k-2");
  engine.pass(3_000, { silent: ["k-2"] });
  engine.heartbeat("k-1", { metrics: { load: 0.5 } });
  const status = engine.core.status();
  expect(status).toMatchObject({
    agentCount: 2,
    healthyAgentCount: 1,
    unhealthyAgentCount: 1,
    activeTaskCount: 3,
    queuedTaskCount: 1,
    waitingTaskCount: 1,
    backoffTaskCount: 0,
    endedTaskCounts: { completed: 1, failed: 0, cancelled: 0, timed_out: 0 },
  });
  expect(status.agentStatuses.map((agent) => AgentView.parse(agent))).toMatchObject([
    { agentId: "k-1", state: "healthy", activeTaskCount: 3, metrics: { load: 0.5 }, metadata: { rack: 7 } },
    { agentId: "k-2", state: "unhealthy", reason: "no heartbeat for 3.0 s" },
  ]);
});

it("counts a lost agent no more, but shows it", () => {
  const engine = new Engine();
  engine.register("k-1");
  engine.lose("k-1");
  expect(engine.core.status()).toMatchObject({ agentCount: 0, agentStatuses: [{ agentId: "k-1", state: "lost" }] });
});

it("sends an agent all that it needs, in the shape of the protocol", () => {
  const engine = givenMixed();
  const record = engine.task("running");
  const assignment = assignmentOf(record, record.token ?? "", engine.core.ledger, engine.core.workflows);
  expect(TaskAssignment.parse(assignment)).toEqual({
    taskId: "running",
    type: "ocr",
    attempt: 1,
    token: record.token,
    incarnation: 1,
    priority: "normal",
    deadlineAt: record.attemptDeadlineAt,
    dependencyResults: {},
    metadata: {},
  });
});

it.each<[string, (engine: Engine) => void]>([
  ["completed", (engine) => engine.complete("running")],
  ["was cancelled", (engine) => engine.cancel("running")],
  ["failed and waits for its retry", (engine) => engine.fail("running")],
  [
    "was taken from a replaced agent",
    (engine) => engine.register("k-1", { instanceId: "process-2", capabilities: [] }),
  ],
  [
    "was handed back",
    (engine) => engine.report("k-1", { state: "released", taskId: engine.task("running").spec.taskId }),
  ],
  ["timed out", (engine) => engine.pass(60_000)],
])("sends no assignment any more that %s before it could go out", (_how, overtake) => {
  const engine = givenMixed();
  const { token } = engine.task("running");
  overtake(engine);
  expect(assignmentOf(engine.task("running"), token ?? "", engine.core.ledger, engine.core.workflows)).toBeNull();
});
