/** The demonstration as somebody starts it, from the build (`npm run build`). */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { processesNaming } from "../../nats-server/processes.js";
import { until } from "../../support/until.js";

const script = fileURLToPath(new URL("../../../dist/workflows/baker-street/main.js", import.meta.url));

it("ends every job once, as one trace, although a worker dies and the brains change", {
  timeout: 120_000,
}, async () => {
  const temporary = await mkdtemp(join(tmpdir(), "perdure-test-"));
  const environment = { ...process.env, TMPDIR: temporary, NATS_URL: "nats://127.0.0.1:1" };

  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [script], { env: environment }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });

  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/kill -9 \d+: worker-1 is dead, with jobs in its hands/);
  expect(stdout).toContain("brain green took over; blue handed over what was in flight and left with status 0");
  expect(stdout).toContain("each of 12 jobs ended once, as one trace from the brain to the tool");
  await until("every process of it is gone", async () => (await processesNaming(temporary)).length === 0);
  expect(await readdir(temporary)).toEqual([]);
  await rm(temporary, { recursive: true });
});
