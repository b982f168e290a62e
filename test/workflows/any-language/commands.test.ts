/** What a stranger runs, from the build (`npm run build`): the example, and the conformance check on all our agents. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesNaming } from "../../nats-server/processes.js";
import { readRepositoryFile } from "../../support/source-file.js";
import { until } from "../../support/until.js";
import { expectInterpreters, python, shell } from "./agent-process.js";

const scriptAt = (name: string): string =>
  fileURLToPath(new URL(`../../../dist/workflows/any-language/${name}.js`, import.meta.url));

let folder = "";
beforeAll(async () => {
  expectInterpreters();
  await access(scriptAt("main")).catch(() => expect.fail(`${scriptAt("main")} is not there; npm run build makes it`));
  folder = await mkdtemp(join(tmpdir(), "perdure-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Its temp folder is its own, so that whatever it leaves there is seen. */
async function run(script: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const temporaryFolder = await mkdtemp(join(folder, "run-"));
  const child = spawn(process.execPath, [scriptAt(script), ...args], {
    env: { ...process.env, TMPDIR: temporaryFolder, NATS_URL: "nats://127.0.0.1:1", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  expect(await readdir(temporaryFolder)).toEqual([]);
  await until("no process of it is left", async () => (await processesNaming(temporaryFolder)).length === 0);
  return { code, stdout, stderr };
}

describe("the example", () => {
  it("does one job with agents in both languages", { timeout: 60_000 }, async () => {
    const { code, stdout, stderr } = await run("main", []);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/words-readme +text-words +python-1/);
    expect(stdout).toMatch(/seal +text-sha256 +shell-1/);
    expect(stdout).toMatch(/^The report of both has 9 lines and the seal [0-9a-f]{16}\.$/m);
  });

  it("says so where an agent cannot be started", { timeout: 60_000 }, async () => {
    const noPython = await mkdtemp(join(folder, "path-"));
    await writeFile(join(noPython, "python3"), "#!/bin/sh\necho 'no Python here' >&2\nexit 9\n", { mode: 0o755 });
    const { code, stderr } = await run("main", [], { PATH: `${noPython}:${process.env["PATH"]}` });
    expect(code).toBe(1);
    expect(stderr).toContain("any-language: python-1 did not register: exit status 9\nno Python here");
  });
});

/** Of the rules that are about work, most need a task that takes a while. */
const napping = ["--type", "nap", "--input", '{"seconds":0}', "--expect", '{"slept":0}'];
const slowly = ["--slow-input", '{"seconds":1.5}', "--bad-input", '{"seconds":"long"}'];

describe.concurrent("the conformance check", { timeout: 240_000 }, () => {
  it.each([python, shell])("finds nothing wrong with the agent in $name", async ({ interpreter, script }) => {
    const command = ["--", interpreter, script, "--id", "k-1", "--server", "{url}", "--namespace", "{namespace}"];
    const { code, stdout, stderr } = await run("check-agent", [
      ...napping,
      ...slowly,
      "--namespace",
      "any",
      ...command,
    ]);
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^(\d\d) rules kept, 0 broken that must be kept, 0 broken that should be, 0 not checked\.$/m,
    );
  });

  it("says of the listing in the wire protocol what that leaves out, and what to do about it", async () => {
    const script = join(folder, "listing.py");
    await writeFile(script, listing().replace('("127.0.0.1", 4222)', '("127.0.0.1", int(sys.argv[1]))'));
    const greeting = ["--type", "greet", "--input", '{"name":"Ada"}', "--expect", '"hello Ada"'];
    const { code, stdout, stderr } = await run("check-agent", [...greeting, "--", "python3", script, "{port}"]);
    expect({ code, stderr }, stdout).toEqual({ code: 1, stderr: "" });
    expect([...stdout.matchAll(/^ {2}(?:FAIL|warn) {2}(.*)$/gm)].map(([, name]) => name)).toEqual([
      "goes on after server and orchestrator were killed and started again",
      "comes back when its connection was cut",
      "heartbeats as requests, with incarnation and tokens",
      "lives on when it is sent what it cannot read, or does not know",
      "leaves an assignment to another incarnation alone",
      "hands in a result again until it is acknowledged, and then no more",
      "drains on SIGTERM: finishes or hands back what it has, then says goodbye",
    ]);
    expect(stdout).toContain(`  FAIL  comes back when its connection was cut
          seen: its process ended: exit status 1
          do:   Connect again for ever, about once a second; subscribe again, then send a heartbeat.
          see:  docs/wire-protocol.md#connection
`);
  });

  it("says so where there is no agent to check", async () => {
    const { code, stdout } = await run("check-agent", [
      "--type",
      "x",
      "--only",
      "answers the server's pings",
      "--",
      "false",
    ]);
    expect(code).toBe(1);
    expect(stdout).toContain("-     answers the server's pings (the agent has ended: exit status 1)");
  });

  it.each([
    { args: [], sentence: "--type is needed" },
    { args: ["--type", "x", "--input", "{"], sentence: "--input is no JSON: {" },
    { args: ["--type", "x", "--port", "70000"], sentence: "--port 70000 is no port" },
    { args: ["--type", "x", "--loudly"], sentence: "Unknown option '--loudly'" },
    { args: ["--type", "x", "--only", "sings"], sentence: '--only "sings" is part of no rule\'s name' },
  ])("refuses $args with one sentence", async ({ args, sentence }) => {
    const { code, stderr } = await run("check-agent", args);
    expect(code).toBe(2);
    expect(stderr).toContain(`check-agent: ${sentence}`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});

/** The agent that docs/wire-protocol.md shows. */
function listing(): string {
  const [, code] = /```python\n([\s\S]*?)```/.exec(readRepositoryFile("docs/wire-protocol.md")) ?? [];
  return code ?? expect.fail("docs/wire-protocol.md shows no agent in Python any more");
}
