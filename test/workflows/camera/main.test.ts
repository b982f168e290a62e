/**
 * The demonstration as a stranger runs it, from the build (`npm run build`). Its temp folder is the test's own, so whatever
 * it leaves there is seen.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { sceneSource } from "../../../workflows/camera/frame-source.js";
import { Alert } from "../../../workflows/camera/messages.js";
import { newScene } from "../../../workflows/camera/scene.js";
import { processesNaming } from "../../nats-server/processes.js";
import { until } from "../../support/until.js";
import { temporaryFolder } from "./given-image.js";

const script = fileURLToPath(new URL("../../../dist/workflows/camera/main.js", import.meta.url));

/** Five seconds, and room for a loaded machine. */
const wholeMs = 90_000;

interface Running {
  readonly process: ChildProcess;
  /** What it printed so far. */
  readonly stdout: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
}

function start(args: readonly string[], temporary: string): Running {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, TMPDIR: temporary, NATS_URL: "nats://127.0.0.1:1", NATS_TOKEN: "of another server" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    printed += chunk;
  });
  const ended = Promise.all([once(child, "close"), text(child.stderr)]).then(([[code], stderr]) => ({ code, stderr }));
  return { process: child, stdout: () => printed, ended };
}

async function expectNothingLeft(temporary: string): Promise<void> {
  await until("every process of it is gone", async () => (await processesNaming(temporary)).length === 0);
}

describe("the camera demonstration", () => {
  beforeAll(async () => {
    await access(script).catch(() => expect.fail(`${script} is not there; npm run build makes it`));
  });

  it("raises the one alert there is, before what waited, although an analyser dies", { timeout: wholeMs }, async () => {
    const temporary = await temporaryFolder();

    const demonstration = start(["--seed", "11"], temporary);
    const { code, stderr } = await demonstration.ended;
    const stdout = demonstration.stdout();

    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/kill -9 \d+: analyser-1 is dead with run-\w+-analyse-(gate|yard)-\d+ in its hands/);
    expect(stdout.match(/ALERT/g), stdout).toHaveLength(1);
    expect(stdout).toMatch(/ALERT run-\w+-alert-yard-12: \d+ x \d+ pixels at/);
    expect(stdout).toMatch(/46 analyses ended, [1-9]\d* of them as a second attempt/);
    expect(stdout).toMatch(/the alert for yard frame 12 overtook [1-9]/);
    expect(stdout).toContain("camera-gate is healthy: 24 frames captured, 0 dropped");
    expect(stdout).toContain("everything held");
    await expectNothingLeft(temporary);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("looks at a user's own pictures and keeps the alerts", { timeout: wholeMs }, async () => {
    const temporary = await temporaryFolder();
    const pictures = await temporaryFolder();
    const alerts = join(await temporaryFolder(), "alerts");
    const source = sceneSource(newScene({ width: 96, height: 80, seed: 5, plantedAt: 5 }), pictures);
    for (let frame = 1; frame <= 6; frame += 1) await source.capture(frame, new AbortController().signal);
    await writeFile(join(pictures, "frame-000002.png"), "not a picture");

    const demonstration = start(["--camera", `door=${pictures}`, "--alerts", alerts], temporary);
    const { code, stderr } = await demonstration.ended;

    const stdout = demonstration.stdout();
    expect({ code, stderr }, stdout).toEqual({ code: 1, stderr: "camera: camera door: no analysis of frame 2, 3\n" });
    expect(stdout).toMatch(/door frame 3 could not be analysed: .* is not a PNG file/);
    const [file = "", ...others] = await readdir(alerts);
    expect(others).toEqual([]);
    const alert = Alert.parse(JSON.parse(await readFile(join(alerts, file), "utf8")));
    expect(alert.frame).toMatchObject({ camera: "door", frame: 5, path: join(pictures, "frame-000005.png") });
    await expectNothingLeft(temporary);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("ends what it started when it is interrupted", { timeout: wholeMs }, async () => {
    const temporary = await temporaryFolder();
    const demonstration = start([], temporary);
    await until("its cameras are registered", () => demonstration.stdout().includes("registered"), {
      deadlineMs: 60_000,
    });

    demonstration.process.kill("SIGINT");

    expect(await demonstration.ended).toEqual({ code: 130, stderr: "camera: stopped by SIGINT\n" });
    await expectNothingLeft(temporary);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("takes what it started with it when it is killed", { timeout: wholeMs }, async () => {
    const temporary = await temporaryFolder();
    const demonstration = start([], temporary);
    await until("its cameras are registered", () => demonstration.stdout().includes("registered"), {
      deadlineMs: 60_000,
    });

    demonstration.process.kill("SIGKILL");
    await demonstration.ended;

    await expectNothingLeft(temporary);
  });

  it("ends when nobody reads what it prints", { timeout: wholeMs }, async () => {
    const temporary = await temporaryFolder();
    const demonstration = start([], temporary);
    await until("it has begun", () => demonstration.stdout() !== "", { deadlineMs: 60_000 });

    demonstration.process.stdout?.destroy();

    expect((await demonstration.ended).code).toBe(141);
    await expectNothingLeft(temporary);
    expect(await readdir(temporary)).toEqual([]);
  });

  it.each([
    [["--quickly"], "Unknown option '--quickly'"],
    [["--frames", "11"], "--frames takes 12 to 200, not 11"],
    [["--frames", "many"], '--frames takes a whole number of at most 8 digits, not "many"'],
    [["--seed", "123456789"], '--seed takes a whole number of at most 8 digits, not "123456789"'],
    [["--camera", "door"], '--camera takes NAME=FOLDER, not "door"'],
    [["--camera", "Door.1=/tmp"], '--camera takes NAME=FOLDER, not "Door.1=/tmp"'],
    [["--camera", "door=/nowhere/at/all"], "there is no folder /nowhere/at/all"],
  ])("refuses %j and starts nothing", async (args, sentence) => {
    const temporary = await temporaryFolder();

    const { code, stderr } = await start(args, temporary).ended;

    expect(code, stderr).toBe(2);
    expect(stderr).toContain(sentence);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("refuses a folder with too few pictures, and two cameras of one name", async () => {
    const temporary = await temporaryFolder();
    const [empty, two] = [join(temporary, "empty"), join(temporary, "two")];
    await Promise.all([empty, two].map((folder) => mkdir(folder)));
    for (const name of ["1.png", "2.png"]) await writeFile(join(two, name), "");

    const tooFew = await start(["--camera", `door=${empty}`], temporary).ended;
    const twice = await start(["--camera", `door=${two}`, "--camera", `door=${two}`], temporary).ended;

    expect(tooFew.stderr).toContain("there are 0 PNG files; it takes 2 to 1000");
    expect(twice.stderr).toContain("each --camera needs a name of its own");
    expect([tooFew.code, twice.code]).toEqual([2, 2]);
  });
});
