/** `perdure completion`: the script for bash in a real bash, the others as text made from the same model. */
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/program.js";
import { untilHolds } from "../support/until.js";
import { type Dev, startDev, stopDev } from "./dev-process.js";
import { main, perdure, testEnvironment } from "./perdure.js";

let folder = "";
let script = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "perdure-cli-"));
  script = (await perdure(["completion", "bash"])).stdout;
  // What the shell calls for ids.
  await writeFile(join(folder, "perdure"), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  await chmod(join(folder, "perdure"), 0o755);
  for (const name of ["input-a", "store-a"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "input-b.json"), "{}");
  await mkdir(join(folder, "config", "nats", "context"), { recursive: true });
  for (const name of ["prod", "staging"])
    await writeFile(join(folder, "config", "nats", "context", `${name}.json`), "{}");
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** What bash offers for a line whose last word is being typed. */
async function offered(line: string, environment: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  // As bash splits it: at "=" as well, which becomes a word of its own.
  const words = line
    .split(" ")
    .flatMap((word) => word.split(/(=)/).filter((part, index) => part !== "" || index === 0));
  const command = [
    "set -u",
    script,
    `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})`,
    `COMP_CWORD=${words.length - 1}`,
    "complete -p perdure > /dev/null || exit 9",
    "_perdure",
    `[[ \${#COMPREPLY[@]} -eq 0 ]] || printf '%s\\n' "\${COMPREPLY[@]}"`,
  ].join("\n");
  const { stdout, stderr } = await promisify(execFile)("bash", ["--norc", "-c", command], {
    cwd: folder,
    env: { ...testEnvironment(environment), PATH: `${folder}:${process.env["PATH"]}` },
  });
  expect(stderr).toBe("");
  return stdout === "" ? [] : stdout.trimEnd().split("\n").sort();
}

it.each<[line: string, offers: readonly string[]]>([
  ["perdure s", ["show", "signal", "status", "submit"]],
  ["perdure ps --st", ["--state"]],
  ["perdure ps --state run", ["running"]],
  ["perdure ps --state running que", ["queued"]],
  ["perdure ps --state=run", ["running"]],
  ["perdure ps --state running --jso", ["--json", "--jsonl"]],
  ["perdure --server nats://a:1 ps --wa", ["--watch"]],
  ["perdure ps --namespace a --wa", ["--watch"]],
  ["perdure ps --serv", ["--server"]],
  ["perdure submit --input-file in", ["input-a", "input-b.json"]],
  ["perdure dev --store-dir s", ["store-a"]],
  ["perdure submit ", []],
  ["perdure ps --type o", []],
  ["perdure completion ", ["bash", "fish", "zsh"]],
  ["perdure help sh", ["show"]],
  ["perdure nonsense x", []],
])("bash offers what can stand at the end of: %s", async (line, offers) => {
  expect(await offered(line)).toEqual(offers);
});

it("offers every verb, and every option of each", async () => {
  const { commands } = createProgram();
  const visible = commands.filter((command) => command.name() !== "ids");

  expect(await offered("perdure ")).toEqual([...visible.map((command) => command.name()), "help"].sort());
  for (const command of visible) {
    const flags = command.options.map(({ long }) => long);
    expect(await offered(`perdure ${command.name()} --`)).toEqual(expect.arrayContaining(flags));
  }
});

it("offers the contexts of the nats CLI", async () => {
  expect(await offered("perdure --context pr", { XDG_CONFIG_HOME: join(folder, "config") })).toEqual(["prod"]);
});

describe("ids", () => {
  let dev: Dev;

  beforeAll(async () => {
    dev = await startDev(join(folder, "dev"));
    for (const id of ["t-1", "t-2", "other"]) await perdure(["submit", "ocr", "--id", id, "--server", dev.natsUrl]);
  });

  afterAll(() => stopDev(dev));

  it.each<[line: string, offers: readonly string[]]>([
    ["perdure --server URL show t-", ["t-1", "t-2"]],
    ["perdure cancel other --server URL t-2 o", ["other"]],
    ["perdure submit ocr --depends-on t-1 t-", ["t-1", "t-2"]],
  ])("are those of the server that the line or the environment names: %s", async (line, offers) => {
    const ask = () => offered(line.replace("URL", dev.natsUrl), { NATS_URL: line.includes("URL") ? "" : dev.natsUrl });

    // Whoever presses Tab does so again: on a machine that is busy with other tests a second may not be enough.
    await untilHolds(`${offers} are offered`, ask, (found) => found.join() === offers.join());
  });

  it("are none where no server answers, soon and without a word", async () => {
    const startedAt = performance.now();
    // An address of documentation (RFC 5737): packets to it vanish.
    const { status, stdout, stderr } = await perdure(["ids", "task", "--server", "nats://192.0.2.1:4222"]);

    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(await offered("perdure show t-", { NATS_URL: "nats://127.0.0.1:1" })).toEqual([]);
  });
});

it.each(["zsh", "fish"])("prints a script for %s that knows every verb and option", async (shell) => {
  const { status, stdout } = await perdure(["completion", shell]);

  for (const command of createProgram().commands.filter((verb) => verb.name() !== "ids")) {
    expect(stdout).toContain(command.name());
    for (const { long } of command.options) expect(stdout).toContain(shell === "zsh" ? long : `-l ${long?.slice(2)}`);
  }
  expect(status).toBe(0);
});
