/** `perdure explain`, against `perdure dev` and agents of which none, or not all, can take the task. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { agent } from "../../src/agent/agent.js";
import type { TaskHandler } from "../../src/agent/task-handler.js";
import { type Client, connectClient } from "../../src/client/client.js";
import type { NewTask } from "../../src/client/submission.js";
import { silentLogger } from "../../src/logger.js";
import { untilHolds } from "../support/until.js";
import { type Dev, startDev, stopDev } from "./dev-process.js";
import { perdure } from "./perdure.js";

let folder = "";
let dev: Dev;
let client: Client;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "perdure-cli-"));
  dev = await startDev(folder);
  client = await connectClient({ servers: dev.natsUrl });
});

afterAll(async () => {
  await client.close();
  await stopDev(dev);
  await rm(folder, { recursive: true, force: true });
});

const own = (name: string): string => `${name}-${randomBytes(4).toString("hex")}`;
const explain = (...args: readonly string[]) =>
  perdure(["explain", ...args], { environment: { NATS_URL: dev.natsUrl } });
const explainJson = async (taskId: string) => JSON.parse((await explain(taskId, "--json")).stdout);

const endless: TaskHandler = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

async function givenAgent(capability: string): Promise<string> {
  const agentId = own("agent");
  const started = agent(agentId, { servers: dev.natsUrl, tasks: { [capability]: endless }, logger: silentLogger });
  await started.start();
  onTestFinished(() => started.stop());
  return agentId;
}

async function givenTask(task: NewTask): Promise<string> {
  const { taskId } = await client.submit(task);
  onTestFinished(async () => {
    await client.cancel(taskId);
  });
  return taskId;
}

it("says of each agent why it cannot take a queued task", async () => {
  const [capability, missing] = [own("cap"), own("gpu")];
  const [full, other] = [await givenAgent(capability), await givenAgent(own("other"))];
  const running = await givenTask({ type: capability });
  await untilHolds(
    "the agent is at work",
    () => client.get(running),
    ({ state }) => state === "running",
  );
  const ofFull = await givenTask({ type: capability });
  const ofNobody = await givenTask({ type: capability, requiredCapabilities: [capability, missing] });

  const text = await explain(ofFull);
  const [busy, unable] = [await explainJson(ofFull), await explainJson(ofNobody)];

  expect(text.stdout).toMatch(
    new RegExp(`^task ${ofFull} is queued: the only agent with ${capability} is full: 1/1$`, "m"),
  );
  expect(text.stdout).toMatch(new RegExp(`^${full} +busy +is full: 1/1$`, "m"));
  expect(busy).toMatchObject({ taskId: ofFull, state: "queued", line: { place: 1, length: 1 } });
  expect(busy.agents).toContainEqual({ agentId: full, fitness: "busy", detail: "is full: 1/1" });
  expect(busy.agents).toContainEqual({ agentId: other, fitness: "unable", detail: `lacks ${capability}` });
  expect(unable.agents).toContainEqual({ agentId: full, fitness: "unable", detail: `lacks ${missing}` });
});

it("counts its place among tasks that ask for the same, the more urgent ones first", async () => {
  const type = own("gpu");
  await givenTask({ type });
  await givenTask({ type, priority: "critical" });
  await givenTask({ type, requiredCapabilities: [own("other")] });
  const taskId = await givenTask({ type });
  await givenTask({ type });

  expect(await explainJson(taskId)).toMatchObject({ line: { place: 3, length: 4 } });
});

it("lists the dependencies that have not completed, and how they stand", async () => {
  const first = await givenTask({ type: own("gpu") });
  const taskId = await givenTask({ type: "ocr", dependencies: [first] });

  const { stdout, status } = await explain(taskId);

  expect(stdout).toMatch(new RegExp(`^task ${taskId} is waiting: waits for ${first} \\(queued\\)$`, "m"));
  expect(stdout).toMatch(new RegExp(`^${first} +queued +no agent `, "m"));
  expect(await explainJson(taskId)).toMatchObject({ openDependencies: [{ taskId: first, state: "queued" }] });
  expect(status).toBe(0);
});

it("has nothing to add to how a task ended", async () => {
  const { taskId } = await client.submit({ type: own("gpu") });
  await client.cancel(taskId);

  expect((await explain(taskId)).stdout).toBe(`task ${taskId} is cancelled: was cancelled on request\n`);
});

it("does not know a task that never was", async () => {
  const { status, stderr } = await explain("nobody", "--json");

  expect(JSON.parse(stderr)).toMatchObject({ error: { code: "NOT_FOUND", details: { taskId: "nobody" } } });
  expect(status).toBe(3);
});
