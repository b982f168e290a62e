/**
 * The demo as a stranger runs it, from the build (`npm run build`): processes are started and killed, and none may be
 * left. Its temp folder is the test's own, so whatever it leaves there is seen.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { isRunning, processesNaming } from "../../nats-server/processes.js";
import { until } from "../../support/until.js";
import { projectOf } from "./given-project.js";
import { directoryWith } from "./project-on-disk.js";

const demoScript = fileURLToPath(new URL("../../../dist/workflows/dependency-audit/demo.js", import.meta.url));

/** Twice the orchestrator's patience with a silent agent, the rest, and room for a loaded machine. */
const wholeDemoMs = 100_000;

interface RunningDemo {
  readonly process: ChildProcess;
  /** What it printed so far. */
  readonly stdout: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
}

function startDemo(args: readonly string[], temporaryFolder: string): RunningDemo {
  const child = spawn(process.execPath, [demoScript, ...args], {
    env: { ...process.env, TMPDIR: temporaryFolder, NATS_URL: "nats://127.0.0.1:1", NATS_TOKEN: "of another server" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    printed += chunk;
  });
  const ended = Promise.all([once(child, "close"), text(child.stderr)]).then(([[code], stderr]) => ({ code, stderr }));
  return { process: child, stdout: () => printed, ended };
}

function pidsIn(stdout: string): readonly number[] {
  return [...stdout.matchAll(/\(pid (\d+)\)/g)].map(([, pid]) => Number(pid));
}

/** Neither the agents and workers it named nor a process that works in its temp folder. */
async function expectNothingLeft(stdout: string, temporaryFolder: string): Promise<void> {
  await until("every process of the demo is gone", async () => {
    const members = await Promise.all(pidsIn(stdout).map(isRunning));
    return !members.includes(true) && (await processesNaming(temporaryFolder)).length === 0;
  });
}

describe("npm run demo", () => {
  beforeAll(async () => {
    await access(demoScript).catch(() => expect.fail(`${demoScript} is not there; npm run build makes it`));
  });

  it("reports on every package although an agent and the worker of the run were killed with kill -9", {
    timeout: wholeDemoMs,
  }, async () => {
    const project = await directoryWith(projectOf(40));
    const temporaryFolder = await directoryWith({});
    const markdown = join(project, "report.md");

    const demo = startDemo(["--path", project, "--markdown", markdown], temporaryFolder);
    const { code, stderr } = await demo.ended;
    const stdout = demo.stdout();

    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    const [, agentPid, agent] = /kill -9 (\d+): (auditor-\d) is dead with [123] tasks? in its hands/.exec(stdout) ?? [];
    const [, workerPid, worker] = /kill -9 (\d+): (worker-\d), which held the run, is dead/.exec(stdout) ?? [];
    expect(pidsIn(stdout), stdout).toEqual(expect.arrayContaining([Number(agentPid), Number(workerPid)]));
    expect(stdout).toMatch(new RegExp(`what ${agent} had in hand was done by auditor-\\d, as attempt [2-5]`));
    const other = worker === "worker-1" ? "worker-2" : "worker-1";
    expect(stdout).toMatch(new RegExp(`the run went on on ${other} from event \\d+, not on ${worker}`));
    expect(stdout).toContain("in 4 histories: 120 checks of 40 packages, each exactly once");
    expect(stdout).toContain("every history replays");
    expect(stdout).toMatch(/^Packages +40 \(40 for production\)$/m);
    const rows = (await readFile(markdown, "utf8")).split("\n").filter((line) => line.startsWith("| `part-"));
    expect(rows).toHaveLength(40);
    await expectNothingLeft(stdout, temporaryFolder);
    expect(await readdir(temporaryFolder)).toEqual([]);
  });

  it("ends what it started when it is interrupted at work", { timeout: wholeDemoMs }, async () => {
    const project = await directoryWith(projectOf(40));
    const temporaryFolder = await directoryWith({});
    const demo = startDemo(["--path", project], temporaryFolder);
    await until("its agents and workers are registered", () => pidsIn(demo.stdout()).length === 6, {
      deadlineMs: 60_000,
    });

    demo.process.kill("SIGINT");
    const { code, stderr } = await demo.ended;

    expect(code, stderr).toBe(130);
    expect(stderr).toContain("stopped by SIGINT");
    await expectNothingLeft(demo.stdout(), temporaryFolder);
    expect(await readdir(temporaryFolder)).toEqual([]);
  });

  it("fails with the name of a member that ended unasked", { timeout: wholeDemoMs }, async () => {
    const project = await directoryWith(projectOf(3));
    const temporaryFolder = await directoryWith({});
    const demo = startDemo(["--path", project], temporaryFolder);
    await until("its agents and workers are registered", () => pidsIn(demo.stdout()).length === 6, {
      deadlineMs: 60_000,
    });

    const [pid] = pidsIn(demo.stdout());
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    const { code, stderr } = await demo.ended;

    expect(code, stderr).toBe(1);
    expect(stderr).toContain(`demo: auditor-1 (pid ${pid}) was ended by SIGKILL, and nobody had asked for it.`);
    await expectNothingLeft(demo.stdout(), temporaryFolder);
    expect(await readdir(temporaryFolder)).toEqual([]);
  });

  it("takes what it started with it when it is killed", { timeout: wholeDemoMs }, async () => {
    const project = await directoryWith(projectOf(3));
    const temporaryFolder = await directoryWith({});
    const demo = startDemo(["--path", project], temporaryFolder);
    await until("its agents and workers are registered", () => pidsIn(demo.stdout()).length === 6, {
      deadlineMs: 60_000,
    });

    demo.process.kill("SIGKILL");
    await demo.ended;

    await expectNothingLeft(demo.stdout(), temporaryFolder);
  });

  it("ends when nobody reads what it prints", { timeout: wholeDemoMs }, async () => {
    const project = await directoryWith(projectOf(3));
    const temporaryFolder = await directoryWith({});
    const demo = startDemo(["--path", project], temporaryFolder);
    await until("it has begun", () => demo.stdout() !== "", { deadlineMs: 60_000 });

    demo.process.stdout?.destroy();
    const { code, stderr } = await demo.ended;

    expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
    await expectNothingLeft("", temporaryFolder);
    expect(await readdir(temporaryFolder)).toEqual([]);
  });

  it.each([
    { args: ["--path", "/nowhere/at/all"], code: 3, sentence: "demo: PROJECT_NOT_FOUND: there is no directory" },
    { args: ["--quickly"], code: 2, sentence: "demo: Unknown option '--quickly'. See --help." },
    { args: ["--markdown", "/nowhere/at/all/x.md"], code: 2, sentence: "demo: --markdown: there is no folder" },
  ])("refuses $args with one sentence, and starts nothing", async ({ args, code, sentence }) => {
    const temporaryFolder = await directoryWith({});

    const demo = startDemo(args, temporaryFolder);
    const ended = await demo.ended;

    expect(ended.code).toBe(code);
    expect(ended.stderr).toContain(sentence);
    expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(demo.stdout()).toBe("");
    expect(await readdir(temporaryFolder)).toEqual([]);
  });
});
