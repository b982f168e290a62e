/** `perdure doctor` as a process: what it prints, and what it tells the shell. */
import { join } from "node:path";
import { expect, vi } from "vitest";
import { startDev, stopDev } from "../cli/dev-process.js";
import { perdure } from "../cli/perdure.js";
import { folderTest } from "../nats-server/folder-test.js";
import { freePort } from "../support/free-port.js";

vi.setConfig({ testTimeout: 60_000 });

const briefly = ["--observe", "100ms"];

folderTest("exits with 0 where nothing is wrong but that nobody works", async ({ folder }) => {
  await using dev = await startDev(folder);

  const { status, stdout, stderr } = await perdure([
    "doctor",
    ...briefly,
    "--store-dir",
    folder,
    "--server",
    dev.natsUrl,
  ]);
  await stopDev(dev);

  expect(stderr).toBe("");
  expect(stdout).toMatch(/^warning {2}agents /m);
  expect(stdout).toMatch(/^ {9}agents\/none: .+\n {11}do: .+$/m);
  expect(stdout).toContain("the server syncs always");
  expect(stdout).toContain(`are free under ${join(folder, "jetstream")}`);
  expect(stdout.trimEnd().split("\n").at(-1)).toBe("0 problems, 1 warning");
  expect(status).toBe(0);
});

folderTest("exits with 6 for a problem, and prints it for programs", async ({ folder }) => {
  await using dev = await startDev(folder);
  const where = ["--namespace", "lab", "--server", dev.natsUrl];

  const json = await perdure(["doctor", "--json", ...briefly, ...where]);
  const lines = await perdure(["doctor", "--jsonl", ...briefly, ...where]);
  await stopDev(dev);

  expect([json.status, lines.status]).toEqual([6, 6]);
  expect(JSON.parse(json.stdout)).toMatchObject({
    verdict: "problem",
    reached: "yes",
    namespace: "lab",
    server: dev.natsUrl,
  });
  expect(json.stdout).toContain('"code":"orchestrator/none"');
  const checks = lines.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(checks).toHaveLength(12);
  expect(checks[0]).toMatchObject({ check: "connection", status: "ok", findings: [], skipped: [] });
});

folderTest("exits with 4 where there is no server, and says what was not checked once", async () => {
  const { status, stdout } = await perdure(["doctor", "--server", `127.0.0.1:${await freePort()}`]);

  expect(stdout).toContain("connection/refused: ");
  expect(stdout).toMatch(/^ {9}server, account, streams, .+: there is no connection to a server$/m);
  expect(status).toBe(4);
});

folderTest("exits with 2 for credentials that cannot be read", async ({ folder }) => {
  const { status, stderr } = await perdure(["doctor", "--creds", join(folder, "no-such.creds")]);

  expect(stderr).toContain("perdure: USAGE: ");
  expect(status).toBe(2);
});
