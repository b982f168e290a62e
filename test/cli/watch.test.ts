/** `--watch` where stdout is no terminal, against `perdure dev`; how a terminal is redrawn is in screen.test.ts. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { agent } from "../../src/agent/agent.js";
import { silentLogger } from "../../src/logger.js";
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

const environment = () => ({ NATS_URL: dev.natsUrl });
const run = (...args: readonly string[]) => perdure(args, { environment: environment() });
const watch = (...args: readonly string[]): Running =>
  startPerdure([...args, "--watch"], { environment: environment() });

const untilLines = (watching: Running, count: number): Promise<void> =>
  until(`${count} lines were printed`, () => watching.lines.length >= count);

it("prints a line of JSON for each change, and ends with 0 at Ctrl-C", async () => {
  await run("submit", "scan", "--id", "w-1");
  await using watching = watch("ps", "--type", "scan", "--json");
  await untilLines(watching, 1);
  await run("cancel", "w-1");
  await run("submit", "scan", "--id", "w-2");
  await until("the new task is seen", () => (watching.lines.at(-1) ?? "").includes("w-2"));
  watching.kill("SIGINT");

  const { status, stderr } = await watching.ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const lists = watching.lines.map((line) => JSON.parse(line));
  expect(lists[0]).toMatchObject({ tasks: [{ taskId: "w-1", state: "queued" }] });
  expect(new Set(watching.lines).size).toBe(lists.length);
});

it("prints only what changed with --jsonl", async () => {
  await run("submit", "copy", "--id", "l-1");
  await run("submit", "copy", "--id", "l-2");
  await using watching = watch("ps", "--type", "copy", "--jsonl");
  await untilLines(watching, 2);
  await run("cancel", "l-1");
  await untilLines(watching, 3);
  watching.kill("SIGINT");

  expect((await watching.ended).status).toBe(0);
  const seen = watching.lines.map((line) => JSON.parse(line)).map(({ taskId, state }) => `${taskId} ${state}`);
  expect(seen.slice(0, 2).sort()).toEqual(["l-1 queued", "l-2 queued"]);
  expect(seen.slice(2)).toEqual(["l-1 cancelled"]);
});

it("ends by itself when the task it shows has ended", async () => {
  await run("submit", "ocr", "--id", "w-3");
  await using watching = watch("show", "w-3", "--json");
  await untilLines(watching, 1);
  await run("cancel", "w-3");

  expect((await watching.ended).status).toBe(0);
  expect(watching.lines.map((line) => JSON.parse(line).state)).toEqual(["queued", "cancelled"]);
});

it("refuses to watch a task that does not exist", async () => {
  expect(await run("show", "nobody", "--watch")).toMatchObject({ status: 3, stdout: "" });
});

it("goes on through a restart of everything, saying so once", async () => {
  await using watching = watch("agents", "--json");
  await untilLines(watching, 1);
  const port = new URL(dev.natsUrl).port;
  await stopDev(dev);
  await until("the silence is said", () => watching.errors() !== "");
  dev = await startDev(folder, ["--nats-port", port]);
  const started = agent("late-1", { servers: dev.natsUrl, tasks: {}, logger: silentLogger });
  await started.start();
  await until("the new agent is seen", () => (watching.lines.at(-1) ?? "").includes("late-1"));
  await started.stop();
  watching.kill("SIGINT");

  expect((await watching.ended).status).toBe(0);
  expect(watching.errors().match(/asking again/g)?.length).toBeLessThanOrEqual(2);
});
