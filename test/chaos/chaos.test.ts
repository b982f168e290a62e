/**
 * The chaos of `npm run chaos`, as long as everybody can wait for: every kind of strike about once. It runs from dist, in a
 * process of its own, as from the command line.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import type { ChaosReport } from "./chaos-run.js";

const SECONDS = 35;
const TASKS = 1_500;
const KINDS_OF_STRIKES_MIN = 10;

it("keeps every promise while orchestrators, agents and the server are killed in turn", async () => {
  const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 1_000_000));
  const options = ["--seconds", String(SECONDS), "--tasks", String(TASKS), "--seed", String(seed)];
  const script = fileURLToPath(new URL("../../dist/test/chaos/run.js", import.meta.url));
  const run = spawn(process.execPath, [script, ...options], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(run, "exit");
  onTestFinished(async () => {
    run.kill("SIGTERM");
    await ended;
  });

  const [stdout, stderr] = await Promise.all([text(run.stdout), text(run.stderr)]);
  const report = (stdout === "" ? { breaches: [stderr] } : JSON.parse(stdout)) as ChaosReport;

  expect(report.breaches, `npm run chaos -- ${options.join(" ")}; everything it saw is in ${report.folder}`).toEqual(
    [],
  );
  expect(Object.values(report.ended).reduce((sum, count) => sum + count, 0)).toBe(TASKS);
  expect(Object.keys(report.strikes).length).toBeGreaterThanOrEqual(KINDS_OF_STRIKES_MIN);
}, 240_000);
