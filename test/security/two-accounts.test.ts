/**
 * docs/two-accounts.conf on a real server: with its rights everybody can do what they are for, and nothing else. Reply
 * subjects are the way around permissions that it is made against: the server does not check them.
 */
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nkeys } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { agent } from "../../src/agent/agent.js";
import type { TaskHandler } from "../../src/agent/task-handler.js";
import { type Client, connectClient } from "../../src/client/client.js";
import { Deferred } from "../../src/deferred.js";
import { type Connection, connect } from "../../src/jetstream/connection.js";
import type { ConnectionOptions } from "../../src/jetstream/connection-options.js";
import { type Orchestrator, startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import { type ConfiguredNats, startConfigured } from "../support/configured-nats.js";
import { captureLog } from "../support/log-lines.js";
import { until, untilHolds } from "../support/until.js";

vi.setConfig({ testTimeout: 30_000 });

const withNkey = ["ADMIN", "ORCHESTRATOR", "CLIENT"] as const;
const agentIds = ["camera-1", "ocr-1"] as const;
type AgentName = (typeof agentIds)[number];
type Role = (typeof withNkey)[number] | AgentName;

let server: ConfiguredNats;
/** Of everybody who behaves. */
const { logger, messages } = captureLog();
const violations = (): readonly string[] =>
  messages.filter((message) => /NATS reported an error|subscription refused/.test(message));

const inboxPrefixes = { ADMIN: "_INBOX", ORCHESTRATOR: "_INBOX_o", CLIENT: "_INBOX_c_ann" } as const;

function as(role: Role): ConnectionOptions & { readonly servers: string } {
  const servers = server.url;
  if (role === "camera-1" || role === "ocr-1") {
    return { servers, user: role, password: `${role}-pw`, inboxPrefix: `_INBOX_a_${role}` };
  }
  return { servers, nkeyFile: join(server.folder, `${role}.nk`), inboxPrefix: inboxPrefixes[role] };
}

async function orchestrate(role: "ADMIN" | "ORCHESTRATOR"): Promise<Orchestrator> {
  const orchestrator = await startOrchestrator({ ...as(role), logger });
  await orchestrator.leading;
  return orchestrator;
}

let orchestrator: Orchestrator;
let client: Client;

beforeAll(async () => {
  const keys = withNkey.map((role) => ({ role, pair: nkeys.createUser() }));
  let config = await readFile(new URL("../../docs/two-accounts.conf", import.meta.url), "utf8");
  for (const { role, pair } of keys) config = config.replace(`${role}_NKEY`, pair.getPublicKey());
  config = config.replace("CAMERA_PASSWORD", "camera-1-pw").replace("OCR_PASSWORD", "ocr-1-pw");
  server = await startConfigured(config, async (folder) => {
    for (const { role, pair } of keys) await writeFile(join(folder, `${role}.nk`), pair.getSeed());
  });
  await (await orchestrate("ADMIN")).stop();
  orchestrator = await orchestrate("ORCHESTRATOR");
  client = await connectClient(as("CLIENT"));
});

afterAll(async () => {
  await client.close();
  await orchestrator.stop();
  await server[Symbol.asyncDispose]();
});

async function givenAgent(id: AgentName, tasks: Readonly<Record<string, TaskHandler>>) {
  const started = agent(id, { ...as(id), tasks, maxConcurrentTasks: 4, logger });
  await started.start();
  onTestFinished(() => started.stop());
  return started;
}

async function givenConnection(role: Role): Promise<Connection> {
  const connection = await connect({ ...as(role), name: role, logger: captureLog().logger });
  onTestFinished(() => connection.close());
  return connection;
}

const echo: TaskHandler = (_context, input) => Promise.resolve(input);
const endless: TaskHandler = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

describe("with its own rights", () => {
  it("a client gets work done by agents, sees it, cancels it and hears of it", async () => {
    const heard: string[] = [];
    const hearing = client.onEvent(({ eventType }) => heard.push(eventType));
    onTestFinished(() => hearing.unsubscribe());
    await givenAgent("camera-1", { shoot: echo, film: endless });
    await givenAgent("ocr-1", { read: ({ dependencyResults }) => Promise.resolve(dependencyResults) });

    const [shot, text] = await client.submitAll([
      { taskId: "s-1", type: "shoot", input: "pixels" },
      { taskId: "s-2", type: "read", dependencies: ["s-1"] },
    ]);
    const film = await client.submit({ type: "film" });
    await untilHolds(
      "the film runs",
      () => film.get(),
      ({ state }) => state === "running",
    );
    await film.cancel();

    expect(await text?.result()).toEqual({ "s-1": "pixels" });
    expect(await shot?.get()).toMatchObject({ state: "completed", agentId: "camera-1" });
    expect(await film.wait()).toMatchObject({ state: "cancelled" });
    expect((await client.list({ type: "shoot" })).total).toBe(1);
    expect(await client.explain("s-2")).toContain("completed on ocr-1");
    expect(await client.status()).toMatchObject({ healthyAgentCount: 2 });
    expect((await client.health()).status).not.toBe("unhealthy");
    await until("the end is heard of", () => heard.includes("TASK_CANCELLED"));
    expect(violations()).toEqual([]);
  });

  it("an agent hands in a result while nobody leads, and whoever leads next has it, and all before it", async () => {
    const developed = new Deferred<string>();
    await givenAgent("camera-1", { develop: () => developed.promise });
    const { taskId } = await client.submit({ type: "develop" });
    await untilHolds(
      "it runs",
      () => client.get(taskId),
      ({ state }) => state === "running",
    );
    await orchestrator.stop();
    developed.resolve("done");
    orchestrator = await orchestrate("ORCHESTRATOR");

    expect(await client.result(taskId)).toBe("done");
    await expect(client.get("never-was")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(violations()).toEqual([]);
  });

  it("the orchestrator learns at once that an agent's process is gone", async () => {
    const connection = await givenConnection("ocr-1");
    const registration = { agentId: "ocr-1", capabilities: ["gone"] };
    const body = JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), registration });
    await connection.request("mcp.agent.register", body, { timeoutMs: 5_000 });
    await connection.close();
    const { taskId } = await client.submit({ type: "gone" });

    await untilHolds(
      "it is known",
      () => client.explain(taskId),
      (reason) => reason.includes("unhealthy"),
    );
    await client.cancel(taskId);
    expect(violations()).toEqual([]);
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
    ["ORCHESTRATOR", "$JS.API.STREAM.DELETE.MCP_JOURNAL"],
    ["ORCHESTRATOR", "$JS.API.STREAM.CREATE.OTHER"],
    ["ORCHESTRATOR", "$JS.API.STREAM.PURGE.OTHER"],
    ["ORCHESTRATOR", "$KV.other.key"],
    ["ORCHESTRATOR", "mcp.agent.camera-1.result"],
  ])("%s may not publish to %s", async (role, subject) => {
    const connection = await givenConnection(role);

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
    const connection = await givenConnection(role);

    const refusal = await new Promise<Error>((resolve) => connection.subscribe(subject, () => undefined, resolve));

    expect(refusal).toMatchObject({ code: "PERMISSION_DENIED", details: { subject } });
  });

  it("an agent may not register under the name of another, whatever it writes into the header", async () => {
    const victim = await givenAgent("ocr-1", { read: echo });
    const connection = await givenConnection("camera-1");
    const registration = { agentId: "ocr-1", capabilities: ["read"] };
    const body = JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), registration });
    const headers = { "Nats-Request-Info": JSON.stringify({ user: "ocr-1" }) };

    const answer = await connection.request("mcp.agent.register", body, { timeoutMs: 5_000, headers });

    expect(JSON.parse(new TextDecoder().decode(answer.data)).error).toMatchObject({ code: "PERMISSION_DENIED" });
    expect((await client.status()).agentStatuses).toContainEqual(
      expect.objectContaining({ agentId: victim.id, state: "healthy" }),
    );
    const impostor = agent("ocr-1", { ...as("camera-1"), tasks: { read: echo }, logger: captureLog().logger });
    await expect(impostor.start()).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });
});

describe("a reply subject that names somebody else's", () => {
  /** The stream's own count says whether anything was written. */
  async function sequenceOf(stream: string): Promise<number> {
    const admin = await givenConnection("ADMIN");
    const info = await admin.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeoutMs: 5_000 });
    return JSON.parse(new TextDecoder().decode(info.data)).state.last_seq;
  }

  const envelope = () => ({ messageId: randomUUID(), timestamp: Date.now() });

  /** Resolves when the question was handled, whatever became of its answer. */
  async function askAs(role: Role, subject: string, fields: object, reply: string): Promise<void> {
    const connection = await givenConnection(role);
    connection.publish(subject, JSON.stringify({ ...envelope(), ...fields }), { reply });
    await connection.flush();
  }

  it("does not let an agent overwrite a record with the stream's receipt for its result", async () => {
    /** What the sender's account lets it do to the record of this task. */
    const receiptLandsOn = async (role: Role, taskId: string): Promise<boolean> => {
      const admin = await givenConnection("ADMIN");
      const before = await sequenceOf("MCP_RESULTS");
      await askAs(role, "mcp.agent.camera-1.result", { result: {} }, `$KV.mcp_tasks_ended.${taskId}`);
      await untilHolds(
        "the result is stored",
        () => sequenceOf("MCP_RESULTS"),
        (sequence) => sequence > before,
      );
      const body = JSON.stringify({ last_by_subj: `$KV.mcp_tasks_ended.${taskId}` });
      const stored = await admin.request("$JS.API.STREAM.MSG.GET.KV_mcp_tasks_ended", body, { timeoutMs: 5_000 });
      return JSON.parse(new TextDecoder().decode(stored.data)).error === undefined;
    };

    // Within the account of JetStream it works: that is why there are two.
    expect(await receiptLandsOn("ADMIN", "victim-1")).toBe(true);
    expect(await receiptLandsOn("camera-1", "victim-2")).toBe(false);
  });

  it("does not let a client write into the journal with the orchestrator's answer", async () => {
    await askAs("CLIENT", "mcp.orchestrator.task.submit", { task: { taskId: "j-1", type: "none" } }, "mcp.journal");
    await untilHolds(
      "the task is known",
      () => client.explain("j-1").catch(() => ""),
      (reason) => reason !== "",
    );

    // A leader whose journal had another message in it would be fenced, and the next one could not read it.
    await client.cancel("j-1");
    await orchestrator.stop();
    orchestrator = await orchestrate("ORCHESTRATOR");
    expect((await client.status()).orchestratorStatus).toBe("leading");
  });

  it("does not let anybody command an agent: what lands on its subjects is not obeyed", async () => {
    const victim = await givenAgent("ocr-1", { read: echo });
    const listening = await givenConnection("ocr-1");
    let landed = 0;
    for (const subject of ["mcp.agent.ocr-1.status", "mcp.agent.ocr-1.task"]) {
      listening.subscribe(subject, () => {
        landed += 1;
      });
    }
    await listening.flush();
    const incarnationOf = async (agentId: string): Promise<number> => {
      const { agentStatuses } = await client.status();
      return agentStatuses.find((known) => known.agentId === agentId)?.incarnation ?? 0;
    };
    const incarnation = await incarnationOf("ocr-1");
    const registration = { agentId: "camera-1", capabilities: [] };

    // The attacker goes through more lives than its victim: an order for one of them would outrank the victim's own.
    await untilHolds(
      "the attacker has lived longer",
      async () => {
        await askAs("camera-1", "mcp.agent.register", { registration }, "mcp.agent.ocr-1.status");
        return await incarnationOf("camera-1");
      },
      (reached) => reached > incarnation + 1,
    );
    landed = 0;
    const heartbeat = { agentId: "camera-1", incarnation: incarnation + 1 };
    await askAs("camera-1", "mcp.agent.camera-1.heartbeat", heartbeat, "mcp.agent.ocr-1.status");
    // The receipt of a result, and a task as its client sees it.
    await askAs("camera-1", "mcp.agent.camera-1.result", { result: {} }, "mcp.agent.ocr-1.task");
    await client.submit({ taskId: "l-1", type: "lure", input: "x" });
    await askAs("CLIENT", "mcp.orchestrator.task.get", { taskId: "l-1" }, "mcp.agent.ocr-1.task");
    await until("all of it landed", () => landed >= 3);

    const { taskId } = await client.submit({ type: "read", input: "still here" });
    expect(await client.result(taskId)).toBe("still here");
    expect(await incarnationOf(victim.id)).toBe(incarnation);
    await client.cancel("l-1");
  });
});
