/** `perdure events`, run as a process while things happen. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { agent } from "../../src/agent/agent.js";
import { eventLine } from "../../src/cli/follow-events.js";
import { type Client, connectClient } from "../../src/client/client.js";
import { silentLogger } from "../../src/logger.js";
import { startConfigured } from "../support/configured-nats.js";
import { until } from "../support/until.js";
import { type Dev, startDev, stopDev } from "./dev-process.js";
import { perdure, type Running, startPerdure } from "./perdure.js";

let folder = "";
let dev: Dev;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "perdure-cli-"));
  dev = await startDev(folder);
});

afterAll(async () => {
  await stopDev(dev);
  await rm(folder, { recursive: true, force: true });
});

const own = (name: string): string => `${name}-${randomBytes(4).toString("hex")}`;

/** Resolves once whatever happens from now on is heard. */
async function listen(...args: readonly string[]): Promise<Running> {
  const listening = startPerdure(["events", ...args], { environment: { NATS_URL: dev.natsUrl } });
  await until("it listens", () => listening.errors().includes("listening on"));
  return listening;
}

async function givenClient(): Promise<Client> {
  const client = await connectClient({ servers: dev.natsUrl });
  onTestFinished(() => client.close());
  return client;
}

const untilLines = (running: Running, count: number): Promise<void> =>
  until(`${count} lines were printed`, () => running.lines.length >= count);

it("prints a line for each event, and ends with 0 at Ctrl-C", async () => {
  const client = await givenClient();
  const taskId = own("t");
  await using listening = await listen("--task", taskId);
  await client.submit({ taskId, type: "ocr" });
  await client.cancel(taskId);
  await untilLines(listening, 2);
  listening.kill("SIGINT");

  expect((await listening.ended).status).toBe(0);
  expect(listening.lines).toEqual([
    expect.stringMatching(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\S+Z {2}TASK_SUBMITTED +taskId=${taskId} type=ocr`)),
    expect.stringMatching(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\S+Z {2}TASK_CANCELLED +taskId=${taskId} type=ocr`)),
  ]);
});

for (const format of ["--json", "--jsonl"] as const) {
  it(`prints each event as it came with ${format}, and says the rest in JSON as well`, async () => {
    const client = await givenClient();
    const taskId = own("t");
    await using listening = await listen(format, "--task", taskId, "--limit", "1");
    await client.submit({ taskId, type: "ocr" });

    const { status, stdout, stderr } = await listening.ended;

    expect(JSON.parse(stdout)).toMatchObject({ eventType: "TASK_SUBMITTED", payload: { taskId, type: "ocr" } });
    expect(JSON.parse(stderr)).toMatchObject({ notice: expect.stringContaining("listening on mcp.orchestrator") });
    expect(status).toBe(0);
  });
}

it("prints only the types and the agent it is asked for", async () => {
  const [id, other] = [own("agent"), own("agent")];
  await using ofAgent = await listen("--json", "--agent", id);
  await using ofType = await listen("--json", "--type", "AGENT_GONE");

  for (const agentId of [other, id]) {
    const started = agent(agentId, { servers: dev.natsUrl, tasks: {}, logger: silentLogger });
    await started.start();
    await started.stop();
  }
  await until("both have heard of the end", () => ofAgent.lines.join().includes("GONE") && ofType.lines.length >= 2);

  const about = (running: Running) => running.lines.map((line) => JSON.parse(line));
  expect(new Set(about(ofAgent).map(({ payload }) => payload.agentId))).toEqual(new Set([id]));
  expect(new Set(about(ofType).map(({ eventType }) => eventType))).toEqual(new Set(["AGENT_GONE"]));
});

it("ends with 0 when the time is up, and with 5 where that was too early", async () => {
  const environment = { NATS_URL: dev.natsUrl };
  const nobody = ["--task", own("nobody"), "--timeout", "200ms"];

  const looked = await perdure(["events", ...nobody], { environment });
  const waited = await perdure(["events", ...nobody, "--limit", "1"], { environment });

  expect(looked).toMatchObject({ status: 0, stdout: "" });
  expect(waited).toMatchObject({ status: 5, stdout: "" });
  expect(waited.stderr).toContain("perdure: REQUEST_TIMED_OUT: heard 0 of 1 events within 200 ms");
});

it("ends in silence when whoever reads has had enough", async () => {
  const client = await givenClient();
  await using listening = await listen("--json");
  await client.submit({ type: "ocr" });
  await untilLines(listening, 1);
  listening.closeOutput();
  await client.submit({ type: "ocr" });

  expect((await listening.ended).status).toBe(0);
});

it("says when it lost the connection, that events were missed, and goes on", async () => {
  await using server = await startConfigured("");
  await using listening = startPerdure(["events", "--json"], { environment: { NATS_URL: server.url } });
  await until("it listens", () => listening.errors().includes("listening on"));
  await server.restart("");
  await until("it is back", () => listening.errors().includes("again after"));
  listening.kill("SIGINT");

  const { status, stderr } = await listening.ended;
  expect(
    stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).notice),
  ).toEqual([
    expect.stringContaining("listening on"),
    expect.stringMatching(/^lost the connection to nats:\/\/127\.0\.0\.1:\d+; events are missed until it is back$/),
    expect.stringMatching(/again after .+; events in between were missed, perdure ps and agents tell$/),
  ]);
  expect(status).toBe(0);
});

it("says at once that it may not listen", async () => {
  const user = "{ user: ann, password: pw, permissions: { publish: '>', subscribe: '_INBOX.>' } }";
  await using server = await startConfigured(`authorization { users: [${user}] }`);
  const environment = { NATS_URL: server.url.replace("//", "//ann:pw@") };

  const { status, stderr } = await perdure(["events"], { environment });

  expect(stderr).toContain("perdure: PERMISSION_DENIED: ");
  expect(stderr).not.toContain("ann:pw");
  expect(status).toBe(6);
});

it("cuts a line to the terminal, paints its type and lets nobody rewrite the screen", () => {
  const style = { width: 61, paint: (paint: string | undefined, text: string) => `<${paint}:${text}>` };
  const payload = { taskId: "t-1", error: { message: `\u001b[2J${"x".repeat(80)}` }, retryAt: null };
  const event = { messageId: "m", timestamp: 0, eventType: "TASK_FAILED", payload } as const;

  const line = eventLine(event, style);

  expect(line).not.toContain("\u001b");
  expect(line).toMatch(/^<dim:1970-01-01T00:00:00\.000Z {2}><red:TASK_FAILED +> {2}taskId=t-1…$/);
  expect(eventLine(event, { ...style, width: Number.POSITIVE_INFINITY })).not.toContain("retryAt");
});
