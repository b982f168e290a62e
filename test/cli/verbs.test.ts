/** The verbs of a client, run as processes against `perdure dev` and an agent. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { agent } from "../../src/agent/agent.js";
import { TaskFailure } from "../../src/agent/task-failure.js";
import type { TaskHandler } from "../../src/agent/task-handler.js";
import { silentLogger } from "../../src/logger.js";
import { TaskView } from "../../src/protocol/task-message.js";
import { untilHolds } from "../support/until.js";
import { type Dev, startDev, stopDev } from "./dev-process.js";
import { type Ended, perdure, type RunOptions, startPerdure } from "./perdure.js";

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

const environment = () => ({ NATS_URL: dev.natsUrl });
const run = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
  perdure(args, { ...options, environment: { ...environment(), ...options.environment } });

/** Names a test's own tasks, types and agents: all tests share one orchestrator. */
const own = (name: string): string => `${name}-${randomBytes(4).toString("hex")}`;

async function givenAgent(tasks: Readonly<Record<string, TaskHandler>>, id = own("agent")): Promise<string> {
  const started = agent(id, { servers: dev.natsUrl, tasks, maxConcurrentTasks: 4, logger: silentLogger });
  await started.start();
  onTestFinished(() => started.stop());
  return id;
}

const echo: TaskHandler = (_context, input) => Promise.resolve(input);

/** Runs until it is told to stop. */
const endless: TaskHandler = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

async function taskOf(taskId: string): Promise<TaskView> {
  return TaskView.parse(JSON.parse((await run(["show", taskId, "--json"])).stdout));
}

it("submits a task with all that was asked for, and shows it", async () => {
  const [id, first, type] = [own("t"), own("t"), own("ocr")];
  await run(["submit", type, "--id", first]);

  const submitted = await run([
    ...["submit", type, "--id", id, "--input", '{"page":1}', "--priority", "high", "--depends-on", first],
    ...["--needs", type, "gpu", "--attempt-timeout", "30s", "--close-within", "5m", "--attempts", "7"],
  ]);

  expect(submitted).toEqual({ status: 0, stdout: `${id}\n`, stderr: "" });
  expect(await taskOf(id)).toMatchObject({
    taskId: id,
    type,
    input: { page: 1 },
    state: "waiting",
    priority: "high",
    dependencies: [first],
    requiredCapabilities: [type, "gpu"],
    maximumAttempts: 7,
  });
});

it("waits for a task and prints its output as JSON", async () => {
  const type = own("echo");
  await givenAgent({ [type]: echo });

  const fromOption = await run(["submit", type, "--input", '{"a":[1,null]}', "--wait"]);
  const fromStdin = await run(["submit", type, "-", "--wait"], { stdin: '"x"' });
  const withoutInput = await run(["submit", type, "--wait"]);

  expect(fromOption.status).toBe(0);
  expect(JSON.parse(fromOption.stdout)).toEqual({ a: [1, null] });
  expect(fromStdin.stdout).toBe('"x"\n');
  expect(withoutInput.stdout).toBe("null\n");
});

const linesOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

it("prints lists one object a line with --jsonl, and what they leave out on stderr", async () => {
  const [type, a, b] = [own("echo"), own("a"), own("b")];
  const agentId = await givenAgent({ [type]: echo });
  const batch = [
    { taskId: a, type, input: 1 },
    { taskId: b, type, input: 2 },
  ];
  const stdin = JSON.stringify(batch);

  const submitted = await run(["submit", "--batch", "-", "--jsonl"], { stdin });
  const ended = await run(["submit", "--batch", "-", "--jsonl", "--wait"], { stdin });
  const listed = await run(["ps", "--type", type, "--limit", "1", "--jsonl"]);
  const agents = await run(["agents", "--jsonl"]);
  const cancelled = await run(["cancel", a, b, "--jsonl"]);

  expect(linesOf(submitted.stdout)).toEqual([{ taskId: a }, { taskId: b }]);
  expect(linesOf(ended.stdout)).toMatchObject([
    { taskId: a, output: 1 },
    { taskId: b, output: 2 },
  ]);
  expect(linesOf(ended.stderr)).toEqual([{ notice: "submitted 2 tasks" }]);
  expect(linesOf(listed.stdout)).toMatchObject([{ taskId: b, state: "completed" }]);
  expect(linesOf(listed.stderr)).toEqual([{ notice: "… and 1 more; --limit shows them" }]);
  expect(linesOf(agents.stdout)).toContainEqual(expect.objectContaining({ agentId }));
  expect(linesOf(cancelled.stdout)).toMatchObject([{ taskId: a }, { taskId: b }]);
});

it("tells the shell that a task failed, and says why on stderr", async () => {
  const type = own("read");
  const handler: TaskHandler = () => {
    throw new TaskFailure("the tray\nis \u001b[2Jempty", { type: "NoPaper", nonRetryable: true });
  };
  await givenAgent({ [type]: handler });

  const text = await run(["submit", type, "--wait"]);
  const json = await run(["submit", type, "--wait", "--json"]);

  expect(text).toMatchObject({ status: 1, stdout: "" });
  expect(text.stderr).toMatch(
    /^perdure: submitted task \S+\nperdure: NoPaper: task \S+ failed after attempt 1: the tray is \?\[2Jempty \(.+\)\n$/,
  );
  expect(json.status).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ state: "failed", error: { type: "NoPaper" } });
  const shown = await run(["show", JSON.parse(json.stdout).taskId]);
  expect(shown.stdout).toMatch(/^state +failed$/m);
  expect(shown.stdout).toMatch(/^ {6}at .+verbs\.test\.ts/m);
});

it("gives up waiting after --timeout while the task goes on", async () => {
  const [id, type] = [own("t"), own("never")];

  const { status, stdout, stderr } = await run(["submit", type, "--id", id, "--wait", "--timeout", "300ms"]);

  expect(stderr).toContain(`perdure: REQUEST_TIMED_OUT: task ${id} did not end within 300 ms and is queued`);
  expect({ status, stdout }).toEqual({ status: 5, stdout: "" });
  expect(await taskOf(id)).toMatchObject({ state: "queued" });
});

it("submits a batch whole, and waits for all of it", async () => {
  const [type, a, b] = [own("echo"), own("a"), own("b")];
  await givenAgent({ [type]: echo });
  const batch = [
    { taskId: a, type, input: 1 },
    { taskId: b, type, input: { two: 2 }, dependencies: [a] },
  ];
  const lines = batch.map((task) => JSON.stringify(task)).join("\n");

  const ids = await run(["submit", "--batch", "-"], { stdin: JSON.stringify(batch, null, 2) });
  const again = await run(["submit", "--batch", "-", "--json"], { stdin: `${lines}\n` });
  const outputs = await run(["submit", "--batch", "-", "--wait"], { stdin: lines });

  expect(ids).toEqual({ status: 0, stdout: `${a}\n${b}\n`, stderr: "" });
  expect(JSON.parse(again.stdout)).toEqual({ taskIds: [a, b] });
  expect(outputs).toMatchObject({ status: 0, stdout: `${a} 1\n${b} {"two":2}\n` });
});

it.each<[code: string, status: number, args: (id: string) => readonly string[]]>([
  ["ID_CONFLICT", 6, (id) => ["submit", "other", "--id", id]],
  ["DEPENDENCY_UNKNOWN", 6, () => ["submit", "ocr", "--depends-on", "nobody"]],
  ["INVALID_ID", 6, () => ["submit", "ocr", "--id", "a.b"]],
  ["NOT_FOUND", 3, () => ["show", "nobody"]],
  ["NOT_FOUND", 3, () => ["cancel", "nobody"]],
  ["NO_RESPONDERS", 4, () => ["ps", "--namespace", "empty", "--timeout", "200ms"]],
])("says %s in one sentence and exits with %i", async (code, expected, args) => {
  const id = own("t");
  await run(["submit", own("ocr"), "--id", id]);

  const { status, stdout, stderr } = await run(args(id));

  expect(stderr).toMatch(new RegExp(`^perdure: ${code}: .+\n$`));
  expect({ status, stdout }).toEqual({ status: expected, stdout: "" });
});

it("lists tasks by state, type and agent, with what they wait for", async () => {
  const [type, running, queued] = [own("endless"), own("r"), own("q")];
  const agentId = await givenAgent({ [type]: endless });
  await run(["submit", type, "--id", running]);
  await run(["submit", type, "--id", queued, "--needs", "gpu", "--priority", "low"]);
  await untilHolds(
    "the task runs",
    () => taskOf(running),
    ({ state }) => state === "running",
  );

  const all = JSON.parse((await run(["ps", "--type", type, "--json"])).stdout);
  const table = await run(["ps", "--type", type, "--state", "queued", "backoff"]);
  const ofAgent = JSON.parse((await run(["ps", "--agent", agentId, "--json"])).stdout);

  expect(all).toMatchObject({ total: 2, tasks: [{ taskId: queued }, { taskId: running, agentId }] });
  expect(ofAgent.tasks.map((task: TaskView) => task.taskId)).toEqual([running]);
  const [heading, row, ...rest] = table.stdout.trimEnd().split("\n");
  expect(heading).toMatch(/^ID +TYPE +STATE +PRIORITY +ATTEMPT +AGE +REASON$/);
  expect(row).toMatch(new RegExp(`^${queued} +${type} +queued +low +0/3 +\\S+ +no agent has capability gpu$`));
  expect(rest).toEqual([]);
});

it("cancels tasks, and what it cannot find keeps it from none of them", async () => {
  const [type, queued, ended] = [own("echo"), own("q"), own("e")];
  await givenAgent({ [type]: echo });
  await run(["submit", type, "--id", queued, "--needs", "gpu"]);
  await run(["submit", type, "--id", ended, "--wait"]);

  const { status, stdout, stderr } = await run(["cancel", "nobody", queued, ended]);

  expect(stdout).toBe(`${queued} cancelled\n${ended} had ended completed\n`);
  expect(stderr).toContain("perdure: NOT_FOUND: ");
  expect(status).toBe(3);
});

it("lists agents with their load", async () => {
  const type = own("endless");
  const agentId = await givenAgent({ [type]: endless });
  const id = own("t");
  await run(["submit", type, "--id", id]);
  await untilHolds(
    "the task runs",
    () => taskOf(id),
    ({ state }) => state === "running",
  );

  const { stdout } = await run(["agents"]);
  const { agents } = JSON.parse((await run(["agents", "--json"])).stdout);

  expect(stdout).toMatch(new RegExp(`^${agentId} +healthy +1 +1/4 +\\S+ ago +${type}$`, "m"));
  expect(agents).toContainEqual(expect.objectContaining({ agentId, activeTaskCount: 1, capabilities: [type] }));
});

it("shows on one screen how the system is and why work waits", async () => {
  const [capability, id] = [own("gpu"), own("t")];
  await run(["submit", "ocr", "--id", id, "--needs", capability]);

  const text = await run(["status"]);
  const json = JSON.parse((await run(["status", "--json"])).stdout);

  expect(text.stdout).toMatch(/^orchestrator +leading for /m);
  expect(text.stdout).toMatch(/^durability +fsync$/m);
  expect(text.stdout).toContain("Not being worked on");
  expect(json).toMatchObject({ orchestratorStatus: "leading", namespace: "mcp", durability: "fsync" });
  expect(json.queuedTaskCount).toBeGreaterThan(0);
});

it("has neither colours nor cut lines where stdout is no terminal", async () => {
  const id = own("t");
  await run(["submit", "ocr", "--id", id, "--needs", "x".repeat(120)]);

  const { stdout } = await run(["ps"]);

  expect(stdout).not.toContain("\u001b");
  expect(stdout).toContain("x".repeat(120));
});

it("ends in silence when whoever reads has had enough", async () => {
  await using watching = startPerdure(["status", "--watch", "--json"], { environment: environment() });
  await untilHolds(
    "the first line",
    () => watching.lines.length,
    (count) => count === 1,
  );
  watching.closeOutput();
  await run(["submit", "ocr", "--needs", own("gpu")]);

  expect(await watching.ended).toMatchObject({ status: 0, stderr: "" });
});
