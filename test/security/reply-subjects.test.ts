/**
 * Reply subjects are the way around permissions that docs/two-accounts.conf is made against: the server does not check
 * them, so an answer lands wherever the one who asked wants it, within that one's account.
 */
import { randomUUID } from "node:crypto";
import { expect, it, vi } from "vitest";
import { until, untilHolds } from "../support/until.js";
import { type Role, useTwoAccounts } from "./two-accounts.js";

vi.setConfig({ testTimeout: 30_000 });

const system = useTwoAccounts();

/** Of the last message that a stream took. */
async function sequenceOf(stream: string): Promise<number> {
  const admin = await system.connect("ADMIN");
  const info = await admin.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeoutMs: 5_000 });
  return JSON.parse(new TextDecoder().decode(info.data)).state.last_seq;
}

const envelope = () => ({ messageId: randomUUID(), timestamp: Date.now() });

/** Resolves when the question was handled, whatever became of its answer. */
async function askAs(role: Role, subject: string, fields: object, reply: string): Promise<void> {
  const connection = await system.connect(role);
  connection.publish(subject, JSON.stringify({ ...envelope(), ...fields }), { reply });
  await connection.flush();
}

it("does not let an agent overwrite a record with the stream's receipt for its result", async () => {
  /** What the sender's account lets it do to the record of this task. */
  const receiptLandsOn = async (role: Role, taskId: string): Promise<boolean> => {
    const admin = await system.connect("ADMIN");
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
    () => system.client.explain("j-1").catch(() => ""),
    (reason) => reason !== "",
  );

  // A leader whose journal had another message in it would be fenced, and the next one could not read it.
  await system.client.cancel("j-1");
  await system.stopOrchestrator();
  await system.startOrchestrator();
  expect((await system.client.status()).orchestratorStatus).toBe("leading");
});

it("does not let anybody command an agent: what lands on its subjects is not obeyed", async () => {
  const victim = await system.startAgent("ocr-1", { read: (_context, input) => Promise.resolve(input) });
  const listening = await system.connect("ocr-1");
  let landed = 0;
  for (const subject of ["mcp.agent.ocr-1.status", "mcp.agent.ocr-1.task"]) {
    listening.subscribe(subject, () => {
      landed += 1;
    });
  }
  await listening.flush();
  const incarnationOf = async (agentId: string): Promise<number> => {
    const { agentStatuses } = await system.client.status();
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
  await system.client.submit({ taskId: "l-1", type: "lure", input: "x" });
  await askAs("CLIENT", "mcp.orchestrator.task.get", { taskId: "l-1" }, "mcp.agent.ocr-1.task");
  await until("all of it landed", () => landed >= 3);

  const { taskId } = await system.client.submit({ type: "read", input: "still here" });
  expect(await system.client.result(taskId)).toBe("still here");
  expect(await incarnationOf(victim.id)).toBe(incarnation);
  await system.client.cancel("l-1");
});
