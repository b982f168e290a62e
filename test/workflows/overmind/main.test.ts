/** The demonstration as a user runs it, from the compiled code. Its temporary folder is the test's own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { untilGone, untilNothingNames } from "../../nats-server/processes.js";
import { untilHolds } from "../../support/until.js";

interface Running {
  readonly process: ChildProcess;
  readonly folder: string;
  readonly printed: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly complaint: string }>;
}

async function demonstration(): Promise<Running> {
  const script = fileURLToPath(new URL("../../../dist/workflows/overmind/main.js", import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), "perdure-overmind-demo-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, TMPDIR: folder, NATS_URL: "nats://127.0.0.1:1", NATS_TOKEN: "of another server" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    printed += chunk;
  });
  const ended = Promise.all([once(child, "close"), text(child.stderr)]).then(([[code], complaint]) => ({
    code,
    complaint,
  }));
  return { process: child, folder, printed: () => printed, ended };
}

it("finds every figure right, says that streams have one replica, and leaves nothing", {
  timeout: 90_000,
}, async () => {
  const { folder, printed, ended } = await demonstration();
  const { code, complaint } = await ended;

  expect(code, complaint).toBe(0);
  expect(printed()).toMatch(/everything held\n$/);
  expect(complaint.match(/one replica/g)).toHaveLength(4);
  await untilNothingNames(folder);
  expect(await readdir(folder)).toEqual([]);
});

it.each<NodeJS.Signals>(["SIGTERM", "SIGKILL"])(
  "leaves no process behind when it is ended by %s",
  { timeout: 60_000 },
  async (signal) => {
    const running = await demonstration();
    const printed = await untilHolds("its parts run", running.printed, (seen) => seen.includes("(pids "), {
      deadlineMs: 40_000,
    });
    const pids = /\(pids ([\d, ]+)\)/.exec(printed)?.[1]?.split(", ").map(Number) ?? [];

    running.process.kill(signal);
    const { complaint } = await running.ended;

    expect(pids).toHaveLength(4);
    await Promise.all(pids.map(untilGone));
    await untilNothingNames(running.folder);
    expect(running.printed()).not.toContain("everything held");
    if (signal === "SIGTERM") expect(complaint).toContain("overmind: stopped by SIGTERM");
  },
);
