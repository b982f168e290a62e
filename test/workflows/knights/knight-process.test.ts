/** Knights as processes, from the build and from their environment alone (`npm run build`). */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { useNats } from "../../support/nats.js";
import { RawNats } from "../../support/raw-nats.js";
import { untilHolds, untilSome } from "../../support/until.js";
import { temporaryFolder } from "./given-task.js";
import { messageCount, OldDispatcher, removeStreams } from "./old-fleet.js";

const scriptOf = (name: string) =>
  fileURLToPath(new URL(`../../../dist/workflows/knights/${name}.js`, import.meta.url));
const script = scriptOf("knight");

const nats = useNats();
let raw: RawNats;
let dispatcher: OldDispatcher;
const children: ChildProcess[] = [];

beforeAll(async () => {
  await access(script).catch(() => expect.fail(`${script} is not there; npm run build makes it`));
});
beforeEach(async () => {
  raw = await RawNats.connect(nats.url);
  dispatcher = new OldDispatcher(raw);
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "close");
  }
  await removeStreams(raw);
  await raw.close();
});

interface KnightProcess {
  readonly child: ChildProcess;
  /** Lines on stdout so far. */
  readonly lines: () => readonly string[];
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
}

const least = { SUBSCRIBE_TOPICS: "fleet-a.tasks.security.>", KNIGHT_NAME: "galahad" };

function start(environment: Readonly<Record<string, string>>, of = script): KnightProcess {
  const child = spawn(process.execPath, [of], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    printed += chunk;
  });
  const ended = Promise.all([once(child, "close"), text(child.stderr)]).then(([[code], stderr]) => ({ code, stderr }));
  return { child, lines: () => printed.split("\n").filter((line) => line !== ""), ended };
}

/** Resolves with its health URL when it takes tasks. */
async function ready({ lines }: KnightProcess): Promise<string> {
  const line = await untilSome("it is ready", () => lines()[0], { deadlineMs: 40_000 });
  return line.split(" ")[2] ?? "";
}

/** Whoever reads it waits until somebody has written to it. */
async function makePipe(path: string): Promise<void> {
  await once(spawn("sh", ["-c", `mkfifo "${path}"`]), "close");
}

it("does real work from its environment alone, and drains on SIGTERM", async () => {
  const knight = start({ ...least, NATS_URL: nats.url });
  const health = await ready(knight);
  const taskId = await dispatcher.dispatch("security");
  const result = await dispatcher.result(taskId);
  const { status } = await fetch(health);
  knight.child.kill("SIGTERM");
  const { code, stderr } = await knight.ended;

  expect(knight.lines()).toEqual([`ready galahad ${health}`]);
  expect(result).toMatchObject({ success: true, knight: "galahad", cost: 0, model: "none" });
  expect(result["result"]).toMatch(/^# Security briefing of \d{4}-\d\d-\d\d\n/);
  expect({ status, code }).toEqual({ status: 200, code: 0 });
  const lines = stderr.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  expect(lines).toContainEqual({
    ...{ level: "info", time: expect.any(String), knight: "galahad", task_id: taskId, domain: "security" },
    ...{ success: true, duration_ms: expect.any(Number), cost: 0, tokens: { input: 0, output: 0 }, model: "none" },
    msg: "task completed",
  });
});

it("lets the task in hand finish before it ends, and takes no other", async () => {
  const folder = await temporaryFolder();
  await makePipe(`${folder}/advisories.json`);
  const knight = start({ ...least, NATS_URL: nats.url, HEALTH_PORT: "0", KNIGHT_DATA: folder });
  const health = await ready(knight);
  const [first, second] = [await dispatcher.dispatch("security"), await dispatcher.dispatch("security")];
  await untilHolds(
    "one is taken",
    () => messageCount(raw, "fleet_a_tasks"),
    (messages) => messages === 1,
  );
  knight.child.kill("SIGTERM");
  await untilHolds(
    "it drains",
    async () => (await (await fetch(health)).json()) as { draining: boolean },
    ({ draining }) => draining,
  );
  const writer = spawn("sh", ["-c", `echo '{"advisories":"none"}' > ${folder}/advisories.json`]);
  await once(writer, "close");

  expect(await dispatcher.result(first)).toMatchObject({
    success: false,
    result: expect.stringContaining("advisories.json is not what it should be"),
  });
  expect((await knight.ended).code).toBe(0);
  expect(dispatcher.resultsOf(second)).toEqual([]);
  expect(await messageCount(raw, "fleet_a_tasks")).toBe(1);
});

it("ends although its executor is deaf to the abort and holds the process", async () => {
  const folder = await temporaryFolder();
  await makePipe(`${folder}/advisories.json`);
  const environment = { ...least, NATS_URL: nats.url, HEALTH_PORT: "0", KNIGHT_DATA: folder, DRAIN_TIMEOUT_MS: "0" };
  const knight = start(environment);
  await ready(knight);
  const taskId = await dispatcher.dispatch("security");
  await untilHolds(
    "it is taken",
    () => messageCount(raw, "fleet_a_tasks"),
    (messages) => messages === 0,
  );
  knight.child.kill("SIGTERM");
  await knight.ended;

  expect(knight.child.signalCode).toBe("SIGTERM");
  expect(await dispatcher.result(taskId)).toMatchObject({ success: false, result: expect.stringContaining("stopped") });
});

it("says in one sentence that the dispatcher finds no server, and takes what is set to nothing for unset", async () => {
  const { code, stderr } = await start({ NATS_URL: "nats://127.0.0.1:1", PERDURE_NAMESPACE: "" }, scriptOf("tim"))
    .ended;

  expect(stderr).toMatch(/^tim: Cannot connect to NATS at nats:\/\/127\.0\.0\.1:1: .*\n$/);
  expect(code).toBe(1);
});

it("does not do again what a killed knight had in hand, and goes on with the rest", async () => {
  const folder = await temporaryFolder();
  await makePipe(`${folder}/advisories.json`);
  const killed = start({ ...least, NATS_URL: nats.url, HEALTH_PORT: "0", KNIGHT_DATA: folder });
  await ready(killed);
  const [lost, next] = [await dispatcher.dispatch("security"), await dispatcher.dispatch("security")];
  await untilHolds(
    "one is taken",
    () => messageCount(raw, "fleet_a_tasks"),
    (messages) => messages === 1,
  );
  killed.child.kill("SIGKILL");
  await killed.ended;

  await ready(start({ ...least, NATS_URL: nats.url, HEALTH_PORT: "0" }));

  expect(await dispatcher.result(next)).toMatchObject({ success: true });
  expect(await messageCount(raw, "fleet_a_tasks")).toBe(0);
  expect(dispatcher.resultsOf(lost)).toEqual([]);
});

it("starts beside another one on the same machine, each with a port of its own", async () => {
  const others = { SUBSCRIBE_TOPICS: "fleet-a.tasks.infra.>", KNIGHT_NAME: "percival" };
  const [one, other] = await Promise.all(
    [least, others].map((environment) => ready(start({ ...environment, NATS_URL: nats.url }))),
  );

  expect(one).not.toBe(other);
});

it("ends with one sentence where the port that it was given is taken", async () => {
  const { port } = new URL(await ready(start({ ...least, NATS_URL: nats.url, HEALTH_PORT: "0" })));

  const { code, stderr } = await start({ ...least, NATS_URL: nats.url, HEALTH_PORT: port }).ended;

  expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^knight: HEALTH_PORT \d+ cannot be listened on: .*EADDRINUSE/);
  expect(code).toBe(2);
});

it.each<[string, Readonly<Record<string, string>>, number, RegExp]>([
  ["a name", { SUBSCRIBE_TOPICS: "fleet-a.tasks.security.>" }, 2, /^knight: KNIGHT_NAME is not set; give .*\.\n$/],
  ["subjects", { KNIGHT_NAME: "galahad" }, 2, /^knight: SUBSCRIBE_TOPICS is not set; give .*\.\n$/],
  ["a number", { ...least, TASK_TIMEOUT_MS: "soon" }, 2, /^knight: TASK_TIMEOUT_MS must be .*, not "soon"\.\n$/],
  ["a server", { ...least, NATS_URL: "nats://127.0.0.1:1" }, 1, /^knight: .*127\.0\.0\.1:1.*\n$/],
  ["a URL", { ...least, NATS_URL: "http://127.0.0.1" }, 1, /^knight: .*talks nats:\/\/ and tls:\/\/ only.*\n$/],
  ["separate subjects", { ...least, SUBSCRIBE_TOPICS: "fleet-a.tasks.>,fleet-a.tasks.a.>" }, 2, /^knight: .*overlap/],
])("ends with one sentence where it lacks %s", async (_, environment, status, sentence) => {
  const { code, stderr } = await start({ NATS_URL: nats.url, ...environment }).ended;

  expect(stderr).toMatch(sentence);
  expect(code).toBe(status);
});
