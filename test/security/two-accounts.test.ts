/** With the rights of docs/two-accounts.conf everybody can do what they are for, and nothing else. */
import { randomUUID } from "node:crypto";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { agent } from "../../src/agent/agent.js";
import type { TaskHandler } from "../../src/agent/task-handler.js";
import { connectClient } from "../../src/client/client.js";
import { Deferred } from "../../src/deferred.js";
import { worker } from "../../src/worker/worker.js";
import { task, workflow } from "../../src/workflow/definition.js";
import { captureLog } from "../support/log-lines.js";
import { until, untilHolds } from "../support/until.js";
import { type Role, useTwoAccounts } from "./two-accounts.js";

vi.setConfig({ testTimeout: 30_000 });

const system = useTwoAccounts();

const echo: TaskHandler = (_context, input) => Promise.resolve(input);
const endless: TaskHandler = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

const portrait = workflow(
  "portrait",
  {
    input: z.string(),
    signals: { smile: z.string() },
    queries: { stage: { output: z.string() } },
    updates: { retouch: { input: z.string(), output: z.number() } },
  },
  async (ctx, name) => {
    let stage = "waits";
    let smile = "";
    const retouched: string[] = [];
    ctx.onQuery("stage", () => stage);
    ctx.onUpdate("retouch", (how) => retouched.push(how));
    ctx.onSignal("smile", (how) => {
      smile = how;
    });
    await ctx.condition(() => smile !== "");
    stage = "shoots";
    const shot = await ctx.task(task("pose"), `${name} ${smile}`);
    await ctx.step("develop", () => "developed");
    return { shot, retouched };
  },
);

describe("with its own rights", () => {
  it("a client gets work done by agents, sees it, cancels it and hears of it", async () => {
    const heard: string[] = [];
    const hearing = system.client.onEvent(({ eventType }) => heard.push(eventType));
    onTestFinished(() => hearing.unsubscribe());
    await system.startAgent("camera-1", { shoot: echo, film: endless });
    await system.startAgent("ocr-1", { read: ({ dependencyResults }) => Promise.resolve(dependencyResults) });

    const [shot, text] = await system.client.submitAll([
      { taskId: "s-1", type: "shoot", input: "pixels" },
      { taskId: "s-2", type: "read", dependencies: ["s-1"] },
    ]);
    const film = await system.client.submit({ type: "film" });
    await untilHolds(
      "the film runs",
      () => film.get(),
      ({ state }) => state === "running",
    );
    await film.cancel();

    expect(await text?.result()).toEqual({ "s-1": "pixels" });
    expect(await shot?.get()).toMatchObject({ state: "completed", agentId: "camera-1" });
    expect(await film.wait()).toMatchObject({ state: "cancelled" });
    expect((await system.client.list({ type: "shoot" })).total).toBe(1);
    expect(await system.client.explain("s-2")).toContain("completed on ocr-1");
    expect(await system.client.status()).toMatchObject({ healthyAgentCount: 2 });
    expect((await system.client.health()).status).not.toBe("unhealthy");
    await until("the end is heard of", () => heard.includes("TASK_CANCELLED"));
    expect(system.violations()).toEqual([]);
  });

  it("an agent hands in a result while nobody leads, and whoever leads next has it, and all before it", async () => {
    const developed = new Deferred<string>();
    await system.startAgent("camera-1", { develop: () => developed.promise });
    const { taskId } = await system.client.submit({ type: "develop" });
    await untilHolds(
      "it runs",
      () => system.client.get(taskId),
      ({ state }) => state === "running",
    );
    await system.stopOrchestrator();
    developed.resolve("done");
    await system.startOrchestrator();

    expect(await system.client.result(taskId)).toBe("done");
    await expect(system.client.get("never-was")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(system.violations()).toEqual([]);
  });

  it("a client starts a workflow, signals, queries and updates it, a worker runs it, and reads its history", async () => {
    await system.startAgent("camera-1", { pose: echo });
    // Nothing stays in its memory: each activation after the first has to read the history.
    await system.startWorker([portrait], 0);

    const run = await system.client.start(portrait, "ann", { workflowId: "w-1" });
    expect(await run.query("stage")).toBe("waits");
    await run.update("retouch", "brighter");
    await run.signal("smile", "wide");

    expect(await run.result()).toEqual({ shot: "ann wide", retouched: ["brighter"] });
    expect((await run.history()).at(-1)?.type).toBe("WorkflowExecutionCompleted");
    const idle = await system.client.start(portrait, "ben", { workflowId: "w-2" });
    await idle.terminate();
    const other = await system.client.start(portrait, "cem", { workflowId: "w-3" });
    await other.cancel();
    expect((await idle.wait()).state).toBe("terminated");
    expect((await other.wait()).state).toBe("cancelled");
    expect(system.violations()).toEqual([]);
  });

  it("whoever leads next has the workflows of the one before, and their histories", async () => {
    await system.startAgent("camera-1", { pose: echo });
    const before = await system.startWorker([portrait]);
    const run = await system.client.start(portrait, "dan", { workflowId: "w-4" });
    expect(await run.query("stage")).toBe("waits");
    await system.stopOrchestrator();
    await system.startOrchestrator();
    await before.stop();
    await system.startWorker([portrait]);
    await run.signal("smile", "shy");

    expect(await run.result()).toMatchObject({ shot: "dan shy" });
    expect(system.violations()).toEqual([]);
  });

  it("a worker is who its options say, and is refused as somebody who may not register", async () => {
    const asClient = worker({ ...system.as("CLIENT"), workflows: [portrait], logger: captureLog().logger });

    await expect(asClient).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  it("the orchestrator's HTTP face asks like a client", async () => {
    const asking = await connectClient(system.as("ORCHESTRATOR"));
    onTestFinished(() => asking.close());

    expect(await asking.status()).toMatchObject({ orchestratorStatus: "leading" });
    expect((await asking.list()).tasks).toBeInstanceOf(Array);
  });

  it("the orchestrator learns at once that an agent's process is gone", async () => {
    const connection = await system.connect("ocr-1");
    const registration = { agentId: "ocr-1", capabilities: ["gone"] };
    const body = JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), registration });
    await connection.request("mcp.agent.register", body, { timeoutMs: 5_000 });
    await connection.close();
    const { taskId } = await system.client.submit({ type: "gone" });

    await untilHolds(
      "it is known",
      () => system.client.explain(taskId),
      (reason) => reason.includes("unhealthy"),
    );
    await system.client.cancel(taskId);
    expect(system.violations()).toEqual([]);
  });
});

describe("beyond its rights", () => {
  it.each<[Role, string]>([
    ["camera-1", "mcp.agent.ocr-1.result"],
    ["camera-1", "mcp.agent.ocr-1.status"],
    ["camera-1", "mcp.agent.ocr-1.heartbeat"],
    ["camera-1", "mcp.agent.ocr-1.task"],
    ["camera-1", "mcp.orchestrator.task.submit"],
    ["camera-1", "mcp.orchestrator.system.event"],
    ["camera-1", "$KV.mcp_tasks.t-1"],
    ["camera-1", "mcp.journal"],
    ["camera-1", "$JS.API.STREAM.DELETE.MCP_JOURNAL"],
    ["CLIENT", "mcp.agent.camera-1.task"],
    ["CLIENT", "mcp.agent.camera-1.result"],
    ["CLIENT", "mcp.agent.register"],
    ["CLIENT", "mcp.orchestrator.system.event"],
    ["CLIENT", "$KV.mcp_tasks.t-1"],
    ["CLIENT", "$JS.API.STREAM.INFO.MCP_JOURNAL"],
    ["CLIENT", "$KV.mcp_runs.w-1"],
    ["camera-1", "mcp.orchestrator.workflow.history"],
    ["worker-1", "mcp.orchestrator.workflow.signal"],
    ["worker-1", "mcp.orchestrator.task.submit"],
    ["worker-1", "$KV.mcp_histories.r1"],
    ["worker-1", "mcp.agent.camera-1.result"],
    ["ORCHESTRATOR", "$JS.API.STREAM.DELETE.MCP_JOURNAL"],
    ["ORCHESTRATOR", "$JS.API.STREAM.CREATE.OTHER"],
    ["ORCHESTRATOR", "$JS.API.STREAM.PURGE.OTHER"],
    ["ORCHESTRATOR", "$JS.API.STREAM.DELETE.KV_mcp_histories"],
    ["ORCHESTRATOR", "$KV.other.key"],
    ["ORCHESTRATOR", "mcp.agent.camera-1.result"],
  ])("%s may not publish to %s", async (role, subject) => {
    const connection = await system.connect(role);

    const asked = connection.request(subject, "{}", { timeoutMs: 5_000 });

    await expect(asked).rejects.toMatchObject({ code: "PERMISSION_DENIED", details: { subject } });
  });

  it.each<[Role, string]>([
    ["camera-1", "mcp.agent.ocr-1.task"],
    ["camera-1", "mcp.agent.*.task"],
    ["camera-1", "_INBOX.>"],
    ["camera-1", "_INBOX_a_ocr-1.>"],
    ["camera-1", "mcp.orchestrator.task.submit"],
    ["camera-1", ">"],
    ["CLIENT", "mcp.agent.camera-1.task"],
    ["CLIENT", "_INBOX_a_camera-1.>"],
    ["CLIENT", "mcp.orchestrator.>"],
    ["CLIENT", "_R_.>"],
    ["ORCHESTRATOR", "_INBOX_c_ann.>"],
    ["ORCHESTRATOR", "mcp.agent.*.result"],
  ])("%s may not listen to %s", async (role, subject) => {
    const connection = await system.connect(role);

    const refusal = await new Promise<Error>((resolve) =>
      connection.subscribe(subject, () => undefined, { onRefused: resolve }),
    );

    expect(refusal).toMatchObject({ code: "PERMISSION_DENIED", details: { subject } });
  });

  it("an agent may not register under the name of another, whatever it writes into the header", async () => {
    const victim = await system.startAgent("ocr-1", { read: echo });
    const connection = await system.connect("camera-1");
    const registration = { agentId: "ocr-1", capabilities: ["read"] };
    const body = JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), registration });
    const headers = { "Nats-Request-Info": JSON.stringify({ user: "ocr-1" }) };

    const answer = await connection.request("mcp.agent.register", body, { timeoutMs: 5_000, headers });

    expect(JSON.parse(new TextDecoder().decode(answer.data)).error).toMatchObject({ code: "PERMISSION_DENIED" });
    expect((await system.client.status()).agentStatuses).toContainEqual(
      expect.objectContaining({ agentId: victim.id, state: "healthy" }),
    );
    const impostor = agent("ocr-1", { ...system.as("camera-1"), tasks: { read: echo }, logger: captureLog().logger });
    await expect(impostor.start()).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });
});
