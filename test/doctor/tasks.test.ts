/** Work that waits for what will not come. */
import { expect, it } from "vitest";
import { agent } from "../../src/agent/agent.js";
import { connectClient } from "../../src/client/client.js";
import { silentLogger } from "../../src/logger.js";
import type { Namespace, TaskId } from "../../src/protocol/ids.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { worker } from "../../src/worker/worker.js";
import { workflow } from "../../src/workflow/definition.js";
import { newNamespace, useNats } from "../support/nats.js";
import { codesOf, findingOf, givenConnection, givenOrchestrator, lookAt } from "./examined.js";
import { type Answers, fakeOrchestrator, givenAgentView, givenTaskView } from "./fake-orchestrator.js";

const nats = useNats();

const look = (namespace: Namespace) => lookAt(nats.url, { namespace });

async function lookAtFake(answers: Answers) {
  const namespace = newNamespace();
  await fakeOrchestrator(await givenConnection(nats.url), namespace, answers);
  return await look(namespace);
}

it("names capabilities that tasks need and no agent has", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const running = agent("k-1", { servers: nats.url, namespace, tasks: { ocr: async () => "" }, logger: silentLogger });
  await running.start();
  const client = await connectClient({ servers: nats.url, namespace });
  await client.submit({ type: "orc" });
  await client.submit({ type: "ocr", requiredCapabilities: ["ocr", "german"] });

  const report = await look(namespace);
  await running.stop();
  await client.close();

  const found = report.checks.find(({ check }) => check === "tasks")?.findings;
  expect(found?.map(({ code }) => code)).toEqual(["tasks/capability-missing", "tasks/capability-missing"]);
  expect(found?.map(({ details }) => details["capabilities"])).toEqual([["ocr", "german"], ["orc"]]);
});

const run: NonNullable<TaskView["run"]> = {
  runId: "r-1" as TaskId,
  firstExecutionRunId: "r-1" as TaskId,
  attempt: 1,
  startedAt: Date.now(),
  historyLength: 3,
  memo: {},
  searchAttributes: {},
};
const order = { type: "workflow:order", requiredCapabilities: ["workflow:order"], run };

it("names workflows whose code no worker has, and no others", async () => {
  const namespace = newNamespace();
  await using _orchestrator = await givenOrchestrator(nats.url, { namespace });
  const waits = workflow("waits", {}, async (ctx) => await ctx.condition(() => false));
  const orphan = workflow("orphan", {}, async () => undefined);
  const running = await worker({ servers: nats.url, namespace, workflows: [waits], logger: silentLogger });
  const client = await connectClient({ servers: nats.url, namespace });
  await client.start(waits, undefined, { workflowId: "w-1" });
  await client.start(orphan, undefined, { workflowId: "w-2" });

  const report = await look(namespace);
  await running.stop();
  await client.close();

  const found = report.checks.find(({ check }) => check === "tasks")?.findings;
  expect(found?.map(({ code, details }) => [code, details])).toEqual([
    ["tasks/worker-missing", { type: "orphan", workflows: 1 }],
  ]);
});

it("says which workflows are stuck, and why", async () => {
  const reason = "is stuck since 3.0 s (NONDETERMINISM: event 7 differs)";
  const report = await lookAtFake({
    tasks: [
      givenTaskView({ ...order, state: "running", taskId: "w-1" as TaskId }),
      givenTaskView({ ...order, state: "stuck", taskId: "w-2" as TaskId, reason }),
    ],
    status: { agentStatuses: [givenAgentView({ capabilities: ["workflow:order"] })] },
  });

  expect(codesOf(report).filter((code) => code.startsWith("tasks/"))).toEqual(["tasks/workflow-stuck"]);
  const { summary, details } = findingOf(report, "tasks/workflow-stuck");
  expect(summary).toContain("NONDETERMINISM");
  expect(details).toEqual({ workflows: 1, tasks: ["w-2"] });
});

it("says since when the oldest task is queued", async () => {
  const submittedAt = Date.now() - 3_600_000;

  const report = await lookAtFake({
    tasks: [givenTaskView(), givenTaskView({ taskId: "t-2" as TaskId, submittedAt })],
  });

  expect(findingOf(report, "tasks/waiting-long").details).toEqual({ tasks: 1, oldest: "t-2" });
});

const failing = (attempt: number, id: number) =>
  givenTaskView({
    taskId: `t-${id}` as TaskId,
    state: "backoff",
    attempt,
    error: { type: "DatabaseDown", message: "no answer" },
  });

it.each<[what: string, tasks: readonly TaskView[]]>([
  ["many tasks fail at once", Array.from({ length: 10 }, (_, index) => failing(1, index))],
  ["one task fails again and again", [failing(12, 1)]],
])("notices that %s, and with what", async (_what, tasks) => {
  const report = await lookAtFake({ tasks });

  expect(findingOf(report, "tasks/backoff-storm").details).toMatchObject({ error: "DatabaseDown" });
});

it("names a task that waits for one nobody knows", async () => {
  const waiting = givenTaskView({ state: "waiting", dependencies: ["gone" as TaskId] });

  const report = await lookAtFake({ tasks: [waiting] });

  expect(findingOf(report, "tasks/dependency-unknown").details["tasks"]).toEqual([
    { taskId: "t-1", dependency: "gone" },
  ]);
});

it("says that foreign messages lie among the dead letters", async () => {
  const report = await lookAtFake({ status: { deadLetterCount: 3 } });

  expect(findingOf(report, "tasks/dead-letters").details).toEqual({ deadLetters: 3 });
});

it("says that the orchestrator runs as many tasks as it may", async () => {
  const report = await lookAtFake({
    settings: { maxConcurrentTasks: 2 },
    status: { activeTaskCount: 2, queuedTaskCount: 5, agentStatuses: [givenAgentView({ maxConcurrentTasks: 9 })] },
  });

  expect(findingOf(report, "tasks/limit-reached").details).toEqual({ maxConcurrentTasks: 2, queued: 5 });
});

it("says that the queue is nearly full", async () => {
  const report = await lookAtFake({
    settings: { maxQueuedTasks: 100 },
    status: { queuedTaskCount: 50, waitingTaskCount: 45 },
  });

  expect(findingOf(report, "tasks/queue-near-limit").details).toEqual({ unassigned: 95, maxQueuedTasks: 100 });
});
