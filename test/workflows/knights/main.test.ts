/** The demonstration as a stranger runs it, from the build (`npm run build`). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, readdir } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "vitest";
import { untilGone, untilNothingNames } from "../../nats-server/processes.js";
import { until } from "../../support/until.js";
import { temporaryFolder } from "./given-task.js";

const script = fileURLToPath(new URL("../../../dist/workflows/knights/main.js", import.meta.url));
/** Three seconds, and room for a loaded machine. */
const wholeMs = 90_000;

beforeAll(async () => {
  await access(script).catch(() => expect.fail(`${script} is not there; npm run build makes it`));
});

function start(temporary: string) {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, TMPDIR: temporary, NATS_URL: "nats://127.0.0.1:1", KNIGHT_NAME: "of another fleet" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    printed += chunk;
  });
  const ended = Promise.all([once(child, "close"), text(child.stderr)]).then(([[code], stderr]) => ({ code, stderr }));
  return { child, stdout: () => printed, ended };
}

/** The server by its folder; the members by what the demonstration said of them. */
async function untilAllGone(temporary: string, stdout: string): Promise<void> {
  await untilNothingNames(temporary);
  for (const [, pid] of stdout.matchAll(/pid (\d+)/g)) await untilGone(Number(pid));
}

it("briefs on four domains of five and says why not on the fifth", { timeout: wholeMs }, async () => {
  const temporary = await temporaryFolder();

  const demonstration = start(temporary);
  const { code, stderr } = await demonstration.ended;
  const stdout = demonstration.stdout();

  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("4 of 5 domains answered.");
  expect(stdout).toContain("_There is nothing from career: percival has no executor for domain");
  expect(stdout).toMatch(/security-\d{10}-\d{5} {2}galahad\n/);
  expect(stdout).toMatch(/finance-\d{10}-\d{5} {2}lancelot\n/);
  expect(stdout).toContain("percival-consumer is healthy");
  expect(stdout).toContain("everything held");
  await untilAllGone(temporary, stdout);
  expect(await readdir(temporary)).toEqual([]);
});

it("ends what it started when it is interrupted", { timeout: wholeMs }, async () => {
  const temporary = await temporaryFolder();
  const demonstration = start(temporary);
  await until("tim is there", () => demonstration.stdout().includes("tim (pid"), { deadlineMs: 60_000 });

  demonstration.child.kill("SIGINT");

  expect(await demonstration.ended).toEqual({ code: 130, stderr: "knights: stopped by SIGINT\n" });
  await untilAllGone(temporary, demonstration.stdout());
  expect(await readdir(temporary)).toEqual([]);
});

it("takes what it started with it when it is killed", { timeout: wholeMs }, async () => {
  const temporary = await temporaryFolder();
  const demonstration = start(temporary);
  await until("the knights are there", () => demonstration.stdout().includes("lancelot (pid"), { deadlineMs: 60_000 });

  demonstration.child.kill("SIGKILL");
  await demonstration.ended;

  await untilAllGone(temporary, demonstration.stdout());
});
