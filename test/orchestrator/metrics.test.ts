import { expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { connectClient } from "../../src/client/client.js";
import { silentLogger } from "../../src/logger.js";
import { type Orchestrator, startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import { worker } from "../../src/worker/worker.js";
import { workflow } from "../../src/workflow/definition.js";
import { Exposition } from "../support/exposition.js";
import { useNats } from "../support/nats.js";
import { readRepositoryFile } from "../support/source-file.js";
import { until, untilHolds } from "../support/until.js";
import { Engine } from "../wire/peers.js";

const nats = useNats();

async function scrape({ orchestrator }: { readonly orchestrator: Orchestrator }): Promise<Exposition> {
  return new Exposition(await orchestrator.metrics());
}

/** Scrapes until a series has this value. */
function untilShows(
  engine: { readonly orchestrator: Orchestrator },
  name: string,
  labels: Readonly<Record<string, string>>,
  value: number,
): Promise<unknown> {
  return untilHolds(
    `${name} ${JSON.stringify(labels)} is ${value}`,
    async () => (await scrape(engine)).value(name, labels),
    (shown) => shown === value,
  );
}

const usage = { cost: 0.25, tokens: { input: 100, output: 20 }, model: 'small "1"\n' };

it("counts what happens to a task, how long it took and what it cost", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  await engine.submitted({ taskId: "t-1", type: "ocr", retry: { initialIntervalMs: 1 } });
  agent.fail(await agent.takeTask(), { type: "OutOfPaper", message: "no paper" });
  agent.complete(await agent.takeTask(), "done", { usage });
  await engine.wait("t-1");
  const shown = await scrape(engine);
  const values = [
    shown.value("perdure_tasks_submitted_total", { type: "ocr" }),
    shown.value("perdure_tasks_ended_total", { type: "ocr", outcome: "completed" }),
    shown.value("perdure_task_duration_seconds_count", { outcome: "completed" }),
    shown.value("perdure_task_queue_duration_seconds_count"),
    shown.value("perdure_attempts_total"),
    shown.value("perdure_attempts_retried_total"),
    shown.value("perdure_attempts_failed_total", { code: "OutOfPaper" }),
    shown.value("perdure_attempt_duration_seconds_count", { outcome: "failed" }),
    shown.value("perdure_attempt_duration_seconds_count", { outcome: "completed" }),
    shown.value("perdure_results_total", { code: "ok" }),
    shown.value("perdure_cost_dollars_total", { model: usage.model }),
    shown.value("perdure_tokens_total", { model: usage.model, direction: "input" }),
    shown.value("perdure_tokens_total", { model: usage.model, direction: "output" }),
  ];
  expect(values).toEqual([1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 0.25, 100, 20]);
  expect(shown.value("perdure_attempt_duration_seconds_sum", { outcome: "completed" })).toBeLessThan(10);
});

it("shows how many tasks wait for what, and for how long", async () => {
  await using engine = await Engine.start(nats.url);
  await engine.submitted({ taskId: "t-1", type: "ocr", requiredCapabilities: ["scan", "ocr"] });
  await engine.submitted({ taskId: "t-2", type: "ocr", dependencies: ["t-1"] });
  const capability = "ocr+scan";
  await untilHolds(
    "its age is shown",
    async () => (await scrape(engine)).value("perdure_queue_oldest_age_seconds", { capability }) ?? 0,
    (ageS) => ageS > 0.02 && ageS < 30,
  );
  const shown = await scrape(engine);
  expect([
    shown.value("perdure_queue_depth", { capability }),
    shown.value("perdure_tasks", { state: "queued" }),
    shown.value("perdure_tasks", { state: "waiting" }),
  ]).toEqual([1, 1, 1]);

  const agent = await engine.agent("k-1", { capabilities: ["ocr", "scan"], maxConcurrentTasks: 3 });
  await agent.takeTask();
  await engine.untilState("t-1", "running");
  const later = await scrape(engine);
  expect([
    later.value("perdure_queue_depth", { capability }),
    later.value("perdure_queue_oldest_age_seconds", { capability }),
    later.value("perdure_tasks", { state: "running" }),
    later.value("perdure_agent_places"),
    later.value("perdure_agent_places_taken"),
  ]).toEqual([0, 0, 1, 3, 1]);
});

it("counts runs of workflows, what their workers answer, and those that are stuck", async () => {
  await using engine = await Engine.start(nats.url);
  const { namespace } = engine;
  const waits = workflow("waits", { signals: { go: z.undefined() } }, async (ctx) => await ctx.signal("go"));
  const broken = workflow("broken", {}, async () => {
    throw new TypeError("no deployment yet");
  });
  const client = await connectClient({ servers: nats.url, namespace });
  onTestFinished(() => client.close());
  const running = await worker({ servers: nats.url, namespace, workflows: [waits, broken], logger: silentLogger });
  onTestFinished(() => running.stop());
  const ends = await client.start(waits, undefined);
  await client.start(waits, undefined);
  await client.start(broken, undefined);
  await untilShows(engine, "perdure_workflow_runs", { type: "broken", state: "stuck" }, 1);
  await ends.signal("go");
  await ends.result();
  await untilShows(engine, "perdure_workflow_activations_answered_total", {}, 3);
  const shown = await scrape(engine);
  expect([
    shown.value("perdure_workflow_runs", { type: "waits", state: "running" }),
    shown.value("perdure_workflow_runs", { type: "broken", state: "running" }),
    shown.value("perdure_workflow_runs_started_total"),
    shown.value("perdure_workflow_runs_closed_total", { outcome: "completed" }),
  ]).toEqual([1, 0, 3, 1]);
  expect(shown.value("perdure_workflow_activations_failed_total", { code: "WORKFLOW_TASK_FAILED" })).toBeGreaterThan(0);
  expect(shown.value("perdure_workflow_stuck_oldest_age_seconds")).toBeGreaterThan(0);
  // Started, answered, signaled, answered, completed; started and answered; started.
  expect(shown.value("perdure_workflow_history_events_total")).toBe(8);
  expect(await client.status()).toMatchObject({ openWorkflowCount: 2, stuckWorkflowCount: 1, activeTaskCount: 0 });
});

it("lets nobody make up labels without bound", async () => {
  await using engine = await Engine.start(nats.url);
  const tasks = Array.from({ length: 150 }, (_, index) => ({ taskId: `t-${index}`, type: `type-${index}` }));
  await engine.ask("task.submit", { tasks });
  const shown = await scrape(engine);
  const samplesOf = (name: string) => shown.families.get(name)?.samples ?? [];
  const total = (name: string) => samplesOf(name).reduce((sum, { value }) => sum + value, 0);
  expect([
    samplesOf("perdure_queue_depth").length,
    total("perdure_queue_depth"),
    shown.value("perdure_queue_depth", { capability: "other" }),
    samplesOf("perdure_tasks_submitted_total").length,
    total("perdure_tasks_submitted_total"),
    shown.value("perdure_tasks_submitted_total", { type: "other" }),
  ]).toEqual([101, 150, 50, 51, 150, 100]);
  expect(shown.value("perdure_queue_oldest_age_seconds", { capability: "other" })).toBeLessThan(30);
});

it("counts what was refused, by code", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  await engine.submitted({ taskId: "t-1", type: "ocr" });
  await engine.submit({ taskId: "t-1", type: "another" });
  await engine.ask("task.get", { taskId: "nobody" });
  const task = await agent.takeTask();
  agent.result({ ...task, token: "another" }, { output: 1 });
  agent.complete(task, 1);
  agent.complete(task, 1);
  agent.heartbeat({ agentId: "another" });
  await untilShows(engine, "perdure_results_total", { code: "duplicate" }, 1);
  await untilShows(engine, "perdure_agent_messages_dropped_total", { code: "INVALID_ID" }, 1);
  const shown = await scrape(engine);
  expect([
    shown.value("perdure_requests_total", { request: "task-submit", code: "ok" }),
    shown.value("perdure_requests_total", { request: "task-submit", code: "ID_CONFLICT" }),
    shown.value("perdure_requests_total", { request: "task-get", code: "NOT_FOUND" }),
    shown.value("perdure_results_total", { code: "ok" }),
    shown.value("perdure_results_total", { code: "RESULT_STALE" }),
  ]).toEqual([1, 1, 1, 1, 1]);
});

it("shows agents by state and counts what was decided about them", async () => {
  await using engine = await Engine.start(nats.url);
  await engine.agent("k-1");
  await engine.agent("k-1", { instanceId: "another" });
  const leaving = await engine.agent("k-2");
  leaving.report({ state: "draining" });
  await untilShows(engine, "perdure_agents", { state: "draining" }, 1);
  leaving.report({ state: "idle" });
  await untilShows(engine, "perdure_agents", { state: "gone" }, 1);
  leaving.heartbeat();
  await untilShows(engine, "perdure_heartbeats_total", {}, 1);
  const shown = await scrape(engine);
  expect(shown.value("perdure_agents", { state: "healthy" })).toBe(1);
  const decisions = ["AgentRegistered", "AgentReplaced", "AgentDraining", "AgentGone"];
  expect(decisions.map((decision) => shown.value("perdure_agent_decisions_total", { decision }))).toEqual([2, 1, 1, 1]);
});

it("shows what storage does: flushes, copies and how far the copies are", async () => {
  await using engine = await Engine.start(nats.url);
  await engine.agent("k-1");
  await engine.submitted({ taskId: "t-1", type: "another" });
  await untilShows(engine, "perdure_checkpoint_sequence", {}, 3);
  const shown = await scrape(engine);
  const flushes = shown.value("perdure_commit_duration_seconds_count");
  expect([
    shown.value("perdure_flush_facts_sum"),
    shown.value("perdure_flush_bytes_count"),
    shown.value("perdure_copied_records_total", { kind: "live" }),
    shown.value("perdure_copied_records_total", { kind: "agents" }),
    shown.value("perdure_effects_outstanding"),
    shown.value("perdure_uncopied_records"),
    // The new leader's fence is the first message of the journal, and not one of the loop.
    shown.value("perdure_journal_sequence"),
  ]).toEqual([2, flushes, 1, 1, 0, 0, (flushes ?? 0) + 1]);
  expect(shown.value("perdure_flush_bytes_sum")).toBeGreaterThan(300);
  expect(shown.value("perdure_recovery_duration_seconds")).toBeGreaterThan(0);
});

it("shows the state of the system in the leader only, so that sums over processes are right, through a change of leader", async () => {
  await using engine = await Engine.start(nats.url);
  const settings = { namespace: engine.namespace, maxConcurrentTasks: 0 };
  const standby = { orchestrator: await startOrchestrator({ servers: nats.url, settings, logger: silentLogger }) };
  try {
    await engine.submitted({ taskId: "t-1", type: "ocr" });
    const both = [await scrape(engine), await scrape(standby)];
    const sumOf = (name: string, shown: readonly Exposition[]) =>
      shown.reduce((sum, exposition) => sum + (exposition.value(name, {}) ?? 0), 0);
    expect([sumOf("perdure_leader", both), both[1]?.value("perdure_leader")]).toEqual([1, 0]);
    expect(both[1]?.value("perdure_orchestrator_state", { state: "standby" })).toBe(1);
    const ofLeaderOnly = ["perdure_queue_depth", "perdure_agent_places", "perdure_journal_sequence"];
    expect(ofLeaderOnly.map((name) => both[1]?.families.get(name)?.samples)).toEqual([[], [], []]);

    const { orchestrator: former } = engine;
    await former.stop();
    await standby.orchestrator.leading;
    const after = [await scrape({ orchestrator: former }), await scrape(standby)];
    expect([sumOf("perdure_leader", after), after[1]?.value("perdure_queue_depth", { capability: "ocr" })]).toEqual([
      1, 1,
    ]);
    expect(after[0]?.families.get("perdure_queue_depth")?.samples).toEqual([]);
    // Counted once, by whoever accepted it.
    expect(after.map((shown) => shown.value("perdure_tasks_submitted_total", { type: "ocr" }))).toEqual([1, undefined]);
    expect(after[0]?.value("perdure_leader_terms_ended_total", { reason: "stopped" })).toBe(1);
    expect(after[1]?.value("perdure_leader_terms_total")).toBe(1);
  } finally {
    await standby.orchestrator.stop();
  }
});

it("counts renewals of the lease, and connections that broke and came back", async () => {
  await using engine = await Engine.start(nats.url, { leaseMs: 3_000 });
  await until(
    "the lease is renewed",
    async () => ((await scrape(engine)).value("perdure_lease_renewals_total", { outcome: "renewed" }) ?? 0) > 0,
  );
  await nats.stop();
  await untilShows(engine, "perdure_nats_connected", {}, 0);
  await nats.restart();
  await untilShows(engine, "perdure_nats_reconnects_total", {}, 1);
  expect((await scrape(engine)).value("perdure_nats_disconnects_total")).toBe(1);
});

it("is documented: every metric once, with its type and labels", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  await engine.submitted({ taskId: "t-1", type: "ocr", retry: { maximumAttempts: 1 } });
  agent.fail(await agent.takeTask());
  await engine.submitted({ taskId: "t-2", type: "ocr" });
  agent.complete(await agent.takeTask(), 1, { usage });
  await engine.wait("t-2");
  await engine.submitted({ taskId: "t-3", type: "another" });
  const { families } = await scrape(engine);
  const ours = [...families.values()].filter(({ name }) => name.startsWith("perdure_"));

  const rows = readRepositoryFile("docs/metrics.md").matchAll(/^\| `(perdure_\w+)` \| (\w+) \|(.*?)\| .+ \|$/gm);
  const documented = new Map(
    [...rows].map(([, name, type, labels]) => [name, { type, labels: labels?.replaceAll(/[` ]/g, "") ?? "" }]),
  );
  expect([...documented.keys()].sort()).toEqual(ours.map(({ name }) => name).sort());
  for (const { name, type, samples } of ours) {
    const { labels, type: documentedType } = documented.get(name) ?? {};
    expect([name, documentedType]).toEqual([name, type]);
    for (const sample of samples) {
      const shown = Object.keys(sample.labels).filter((label) => label !== "namespace" && label !== "le");
      expect([name, shown.sort()]).toEqual([
        name,
        labels
          ?.split(",")
          .filter((label) => label !== "")
          .sort(),
      ]);
      expect(sample.labels["namespace"]).toBe(engine.namespace);
    }
  }
});

it("names in the alert rules only metrics that there are", async () => {
  await using engine = await Engine.start(nats.url);
  const { families } = await scrape(engine);
  const rules = /```yaml\ngroups:[\s\S]*?```/.exec(readRepositoryFile("docs/metrics.md"))?.[0] ?? "";
  const named = [...rules.matchAll(/perdure_\w+/g)].map(([name]) => name.replace(/_bucket$/, ""));
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !families.has(name))).toEqual([]);
});
