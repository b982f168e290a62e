/** Work that waits for what will not come. */
import { expect, it } from "vitest";
import { agent } from "../../src/agent/agent.js";
import { connectClient } from "../../src/client/client.js";
import { silentLogger } from "../../src/logger.js";
import type { Namespace, TaskId } from "../../src/protocol/ids.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { newNamespace, useNats } from "../support/nats.js";
import { findingOf, givenConnection, givenOrchestrator, lookAt } from "./examined.js";
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
