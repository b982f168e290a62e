/** The dispatcher on Perdure among an old fleet: old knights do its tasks, and old dispatchers' tasks are seen by it. */
import { expect, it, onTestFinished } from "vitest";
import { silentLogger } from "../../../src/logger.js";
import { replay } from "../../../src/testing/replay.js";
import { dispatch, startDispatcher } from "../../../workflows/knights/dispatcher.js";
import type { Executors } from "../../../workflows/knights/executor.js";
import { startKnight } from "../../../workflows/knights/start-knight.js";
import { morningBriefing } from "../../../workflows/knights/workflows.js";
import { untilHolds, untilSome } from "../../support/until.js";
import { useFleet } from "./given-fleet.js";
import { answering, givenLog } from "./given-task.js";
import { askJetStream, configOf, type Json, messageCount, OldDispatcher, OldKnight } from "./old-fleet.js";

const fleet = useFleet();

async function knightOf(domain: string, executors: Executors): Promise<void> {
  const knight = await startKnight({
    settings: {
      natsUrl: fleet.url,
      subjects: [`fleet-a.tasks.${domain}.>`],
      name: `sir-${domain}`,
      taskTimeoutMs: 20_000,
      drainTimeoutMs: 0,
      healthPort: 0,
      dataFolder: null,
    },
    executors,
    log: givenLog().log,
    connectionLogger: silentLogger,
  });
  onTestFinished(() => knight.stop());
}

const statusOf = async (agentId: string) =>
  (await fleet.client.status()).agentStatuses.find((agent) => agent.agentId === agentId);

it("makes the fleet's streams as they have always been", async () => {
  expect(await configOf(fleet.raw, "STREAM.INFO.fleet_a_tasks")).toMatchObject({
    ...{ subjects: ["fleet-a.tasks.>"], retention: "workqueue", storage: "file" },
  });
  expect(await configOf(fleet.raw, "STREAM.INFO.fleet_a_results")).toMatchObject({
    ...{ subjects: ["fleet-a.results.>"], retention: "limits", storage: "file" },
  });
});

it("gives an old knight a task with every field, and its result ends the task", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");

  const handle = await dispatch(fleet.client, {
    ...{ domain: "security", task: "What is to be done?", priority: "high", timeoutMs: 20_000 },
  });
  const taken = await knight.take();
  knight.answer(handle.taskId);

  expect(handle.taskId).toMatch(/^security-\d{10}-\d{5}$/);
  expect(taken.subject).toBe(`fleet-a.tasks.security.${handle.taskId}`);
  expect(taken.body).toEqual({
    task: "What is to be done?",
    task_id: handle.taskId,
    domain: "security",
    dispatched_by: "tim",
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    metadata: { priority: "high", timeout_ms: 20_000 },
  });
  expect(taken.headers.get("Nats-Msg-Id")).toBe(handle.taskId);
  expect(await handle.wait()).toMatchObject({
    state: "completed",
    agentId: "fleet-a-security",
    output: { knight: "galahad", success: true, result: "# Done\n\nAll is well.", duration_ms: 1_234 },
    usage: { cost: 0.0125, tokens: { input: 900, output: 150 }, model: "small-1" },
  });
});

it("counts what results cost, of the task, its agent and the whole system, also of one that failed", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const before = (await fleet.client.status()).usage;
  const agentBefore = (await statusOf("fleet-a-security"))?.usage?.cost ?? 0;
  const handle = await dispatch(fleet.client, { domain: "security", task: "Try", timeoutMs: 20_000 });
  await knight.take();
  knight.answer(handle.taskId, { success: false, result: "The model refused." });

  expect(await handle.wait()).toMatchObject({
    state: "failed",
    error: { type: "KNIGHT_FAILED", message: "The model refused." },
    usage: { cost: 0.0125, tokens: { input: 900, output: 150 }, model: "small-1" },
  });
  const { usage } = await fleet.client.status();
  expect(usage.cost - before.cost).toBeCloseTo(0.0125);
  expect(usage.tokens.input - before.tokens.input).toBe(900);
  expect(((await statusOf("fleet-a-security"))?.usage?.cost ?? 0) - agentBefore).toBeCloseTo(0.0125);
});

it("fails a task whose knight died with it, and gives it to nobody else", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const handle = await dispatch(fleet.client, { domain: "security", task: "Try", timeoutMs: 500 });
  await knight.take();

  expect(await handle.wait()).toMatchObject({ state: "failed", attempt: 1, error: { type: "MEMBER_SILENT" } });

  expect(await messageCount(fleet.raw, "fleet_a_tasks")).toBe(0);
});

it("waits on for an answer, and asks nobody again, when the dispatcher is replaced meanwhile", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const handle = await dispatch(fleet.client, { domain: "security", task: "Try", timeoutMs: 20_000 });
  await knight.take();
  await fleet.restartDispatcher();
  await untilHolds(
    "the task waits again",
    () => handle.get(),
    ({ state }) => state === "running",
  );

  expect(await messageCount(fleet.raw, "fleet_a_tasks")).toBe(0);
  knight.answer(handle.taskId);
  expect(await handle.wait()).toMatchObject({ state: "completed" });
});

it("finds an answer that came while no dispatcher was there", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const handle = await dispatch(fleet.client, { domain: "security", task: "Try", timeoutMs: 20_000 });
  await knight.take();
  await fleet.dispatcher.stop();
  knight.answer(handle.taskId);
  await fleet.raw.flush();
  await fleet.restartDispatcher();

  expect(await handle.wait()).toMatchObject({ state: "completed" });
});

it("shows what an old dispatcher gives to an old knight as a task, and sends nothing of its own", async () => {
  const knight = await OldKnight.join(fleet.raw, "percival", "infra");
  const old = new OldDispatcher(fleet.raw);

  const taskId = await old.dispatch("infra", { dispatched_by: "merlin", metadata: { priority: "urgent" } });
  await knight.take();
  const running = await untilSome("it runs", async () => {
    const { tasks } = await fleet.client.list({ type: "knight:infra", states: ["running"] });
    return tasks.find((task) => task.taskId === taskId);
  });
  knight.answer(taskId);

  expect(running).toMatchObject({ agentId: "fleet-a-infra", priority: "critical" });
  expect(await fleet.client.wait(taskId)).toMatchObject({ state: "completed", usage: { cost: 0.0125 } });
  expect(await messageCount(fleet.raw, "fleet_a_tasks")).toBe(0);
  expect(old.resultsOf(taskId)).toHaveLength(1);
});

it("sees the end also of a task that was answered before it could look", async () => {
  await knightOf("security", { security: answering("# Done") });
  const old = new OldDispatcher(fleet.raw);

  const ids: string[] = [];
  for (let count = 0; count < 25; count += 1) ids.push(await old.dispatch("security"));

  for (const taskId of ids) {
    await untilSome("it is seen", () => fleet.client.get(taskId).catch(() => null));
    expect(await fleet.client.wait(taskId)).toMatchObject({ state: "completed" });
    expect(old.resultsOf(taskId)).toHaveLength(1);
  }
});

it("sees a task that is dispatched twice as one", async () => {
  await knightOf("security", { security: answering("# Done") });
  const old = new OldDispatcher(fleet.raw);
  const taskId = await old.dispatch("security");
  await old.result(taskId);

  await old.dispatch("security", { task_id: taskId, timestamp: "2026-02-23T03:00:00Z" });
  const other = await old.dispatch("security");
  await old.result(other);

  expect(old.resultsOf(taskId)).toHaveLength(1);
  expect(await fleet.client.wait(taskId)).toMatchObject({ state: "completed", attempt: 1 });
});

it("shows a task of a domain the fleet has no word for", async () => {
  const knight = await OldKnight.join(fleet.raw, "tristan", "gardening");
  const old = new OldDispatcher(fleet.raw);
  const taskId = await old.dispatch("gardening");
  await knight.take();
  await untilSome("it is seen", () => fleet.client.get(taskId).catch(() => null));
  knight.answer(taskId);

  expect(await fleet.client.wait(taskId)).toMatchObject({ state: "completed", agentId: "fleet-a-other" });
});

it("goes on when an old member says nonsense", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const handle = await dispatch(fleet.client, { domain: "security", task: "Try", timeoutMs: 20_000 });
  await knight.take();
  fleet.raw.publish("fleet-a.tasks.security.mine", "{");
  fleet.raw.publish(`fleet-a.results.${handle.taskId}`, "{");
  fleet.raw.publish(`fleet-a.results.${handle.taskId}`, JSON.stringify({ task_id: handle.taskId, success: "yes" }));
  fleet.raw.publish("fleet-a.results.nobody-asked", JSON.stringify({}));
  knight.answer("nobody-1-2");

  knight.answer(handle.taskId);

  expect(await handle.wait()).toMatchObject({ state: "completed" });
});

it("takes the answer of a knight whose accounts it cannot read", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const handle = await dispatch(fleet.client, { domain: "security", task: "Try", timeoutMs: 20_000 });
  await knight.take();
  knight.answer(handle.taskId, { cost: -1, tokens: null, model: undefined, duration_ms: "12", timestamp: "now" });

  expect(await handle.wait()).toMatchObject({
    state: "completed",
    output: { knight: "galahad", result: "# Done\n\nAll is well.", cost: 0, tokens: { input: 0, output: 0 } },
  });
});

it("sees a task of an old dispatcher whose id has dots", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const old = new OldDispatcher(fleet.raw);
  const named = { task_id: "security.2026.7", domain: "security", dispatched_by: "merlin" };
  const timed = { timestamp: "2026-02-23T02:29:15.000Z", metadata: { priority: "normal", timeout_ms: 20_000 } };
  await old.publish("security", named.task_id, JSON.stringify({ ...named, ...timed, task: "Try" }));
  await knight.take();
  const seen = await untilSome("it is seen", async () => {
    const { tasks } = await fleet.client.list({ type: "knight:security" });
    return tasks.find(({ taskId }) => taskId.startsWith("security-2026-7-"));
  });
  knight.answer("security.2026.7");

  expect(await fleet.client.wait(seen.taskId)).toMatchObject({ state: "completed" });
});

it("publishes a task that the full stream refused when there is room, and once", async () => {
  const { config } = await askJetStream(fleet.raw, "STREAM.INFO.fleet_a_tasks");
  const tight = { ...(config as Json), max_msgs: 1, discard: "new" };
  await askJetStream(fleet.raw, "STREAM.UPDATE.fleet_a_tasks", tight);
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const first = await new OldDispatcher(fleet.raw).dispatch("security");
  const handle = await dispatch(fleet.client, { domain: "security", task: "Try", timeoutMs: 20_000 });
  await untilHolds(
    "it is on its way",
    () => handle.get(),
    ({ progress }) => JSON.stringify(progress ?? null).includes("sent"),
  );

  expect((await knight.take()).body).toMatchObject({ task_id: first });
  expect((await knight.take()).body).toMatchObject({ task_id: handle.taskId });
  knight.answer(handle.taskId);

  expect(await handle.wait()).toMatchObject({ state: "completed", attempt: 1 });
  expect(await messageCount(fleet.raw, "fleet_a_tasks")).toBe(0);
});

it("says so when another dispatcher takes its place", async () => {
  const { ended } = fleet.dispatcher;
  const other = await startDispatcher({ servers: fleet.url, logger: silentLogger });
  onTestFinished(() => other.stop());

  await expect(ended).rejects.toMatchObject({ code: "AGENT_SUPERSEDED" });
});

it("joins a morning briefing of what answers, fails and is silent", async () => {
  await knightOf("security", { security: answering("# Safe\n\nAll is well.") });
  await knightOf("vault", { security: answering("never") });
  const knight = await OldKnight.join(fleet.raw, "percival", "infra");

  const run = await fleet.client.start(morningBriefing, {
    domains: ["security", "infra", "vault", "career"],
    timeoutMs: 1_500,
    questions: { infra: "How are the machines?" },
  });
  const taken = await knight.take();
  knight.answer(String(taken.body["task_id"]));
  const { markdown, sections, cost, tokens } = await run.result();

  expect(taken.body).toMatchObject({
    task: "How are the machines?",
    task_id: expect.stringMatching(/^infra-\d{10}-\d{5}$/),
    metadata: { timeout_ms: 1_500 },
  });
  expect(sections).toEqual([
    { domain: "security", taskId: expect.any(String), knight: "sir-security", missing: null },
    { domain: "infra", taskId: taken.body["task_id"], knight: "percival", missing: null },
    {
      domain: "vault",
      taskId: expect.any(String),
      knight: null,
      missing: 'sir-vault has no executor for domain "vault"; it has security.',
    },
    {
      domain: "career",
      taskId: expect.any(String),
      knight: null,
      missing: expect.stringContaining("did not answer task"),
    },
  ]);
  expect({ cost, tokens }).toEqual({ cost: 0.2625, tokens: { input: 1_900, output: 350 } });
  expect(markdown).toContain("2 of 4 domains answered. They cost $0.2625 and 2250 tokens.");
  expect(markdown).toContain("## Security\n\n### Safe\n\nAll is well.");
  expect(markdown).toContain("## Vault\n\n_There is nothing from vault: sir-vault has no executor");
  expect((await fleet.client.wait(run.workflowId)).run?.usage).toMatchObject({ cost: 0.2625 });
  expect(await replay({ workflows: [morningBriefing], history: await run.history() })).toEqual({ ok: true });
});

it("keeps the beginning of what is too long for a task of ours", async () => {
  const knight = await OldKnight.join(fleet.raw, "galahad", "security");
  const old = new OldDispatcher(fleet.raw);
  const taskId = await old.dispatch("security", { task: "\u0001".repeat(100_000) });
  await knight.take();
  await untilSome("it is seen", () => fleet.client.get(taskId).catch(() => null));
  knight.answer(taskId, { result: `# Long\n\n${"x".repeat(300_000)}` });

  const { state, output } = await fleet.client.wait(taskId);

  expect(state).toBe("completed");
  expect(output).toMatchObject({
    result: expect.stringMatching(
      new RegExp(`^# Long\\n\\nx+\\n\\n_Cut here: all of it is on fleet-a\\.results\\.${taskId}\\._$`),
    ),
  });
});

it("is an agent for each domain", async () => {
  const { agentStatuses } = await fleet.client.status();

  const fleetIds = agentStatuses.map(({ agentId }) => agentId).filter((agentId) => agentId.startsWith("fleet-a-"));
  expect(fleetIds.sort()).toEqual(
    ["career", "finance", "home", "infra", "other", "research", "security", "vault"].map(
      (domain) => `fleet-a-${domain}`,
    ),
  );
  expect(await statusOf("fleet-a-security")).toMatchObject({ capabilities: ["knight:security"], state: "healthy" });
});
