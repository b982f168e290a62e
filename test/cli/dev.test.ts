/** `perdure dev` from its ready line to its end, however that comes. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { EventReader } from "../http/raw-http.js";
import { folderTest } from "../nats-server/folder-test.js";
import { untilNothingNames } from "../nats-server/processes.js";
import { until } from "../support/until.js";
import { startDev, stopDev } from "./dev-process.js";
import { perdure, startPerdure } from "./perdure.js";

vi.setConfig({ testTimeout: 60_000 });

folderTest("prints one line on stdout, and a submission is accepted from then on", async ({ folder }) => {
  await using dev = await startDev(folder);

  const submitted = await perdure(["submit", "ocr", "--server", dev.natsUrl]);
  await stopDev(dev);

  expect(submitted.status).toBe(0);
  expect(dev.lines).toEqual([`ready ${dev.natsUrl} ${dev.httpUrl}`]);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  folderTest(`ends with 0 at ${signal}, with everything it started`, async ({ folder }) => {
    await using dev = await startDev(folder);
    dev.kill(signal);

    expect((await dev.ended).status).toBe(0);
    await untilNothingNames(folder);
  });
}

folderTest("keeps what was accepted for the next start", async ({ folder }) => {
  const first = await startDev(folder);
  await perdure(["submit", "ocr", "--id", "t-1", "--server", first.natsUrl]);
  await stopDev(first);
  await using second = await startDev(folder);

  const { stdout } = await perdure(["show", "t-1", "--json", "--server", second.natsUrl]);

  expect(JSON.parse(stdout)).toMatchObject({ taskId: "t-1", state: "queued" });
});

folderTest("serves HTTP where its line says", async ({ folder }) => {
  await using dev = await startDev(folder);

  const statusOf = (path: string) => fetch(dev.httpUrl + path).then(({ status }) => status);

  expect(await Promise.all(["/healthz", "/readyz", "/nothing"].map(statusOf))).toEqual([200, 200, 404]);
});

folderTest("answers callers over HTTP that wait when it is stopped", async ({ folder }) => {
  await using dev = await startDev(folder);
  await perdure(["submit", "ocr", "--id", "t-1", "--server", dev.natsUrl]);
  await using events = await EventReader.open(dev.httpUrl);
  const waiting = fetch(`${dev.httpUrl}/v1/tasks/t-1/wait`);
  // Once this one was answered, that one waits.
  await fetch(`${dev.httpUrl}/v1/tasks/t-1/wait?timeoutMs=100`);

  dev.kill("SIGTERM");

  expect((await waiting).status).toBe(503);
  expect((await dev.ended).status).toBe(0);
  await until("the stream has ended", () => events.ended);
});

folderTest("runs the heartbeat and the namespace it is told to", async ({ folder }) => {
  await using dev = await startDev(folder, ["--heartbeat", "200ms", "--namespace", "lab"]);

  const { stdout } = await perdure(["status", "--json", "--namespace", "lab", "--server", dev.natsUrl]);

  expect(JSON.parse(stdout)).toMatchObject({ namespace: "lab", orchestratorStatus: "leading" });
});

folderTest("refuses a store that another one runs on", async ({ folder }) => {
  await using _dev = await startDev(folder);

  const { status, stdout, stderr } = await perdure(["dev", "--store-dir", folder, "--nats-port", "0"]);

  expect(stderr).toMatch(/^perdure: NATS_SERVER_STORE_UNUSABLE: .+ belongs to another nats-server .+\n$/);
  expect({ status, stdout }).toEqual({ status: 6, stdout: "" });
});

folderTest("says in one sentence that its nats-server died, and exits with 4", async ({ folder }) => {
  await using dev = await startDev(folder);
  const serverPid = Number(await readFile(join(folder, "nats-server.pid"), "utf8"));
  process.kill(serverPid, "SIGKILL");

  const { status, stderr } = await dev.ended;

  expect(status).toBe(4);
  expect(stderr).toContain(`perdure: CONNECTION_FAILED: nats-server (pid ${serverPid}) was ended by SIGKILL`);
});

folderTest("refuses an HTTP port that is taken, before it starts anything", async ({ folder }) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  const { status, stderr } = await perdure(["dev", "--store-dir", folder, "--http-port", String(port)]);
  await new Promise((resolve) => taken.close(resolve));

  expect(stderr).toContain(`perdure: USAGE: cannot listen on HTTP port ${port}`);
  expect(status).toBe(2);
});

folderTest("gives up a start that is interrupted, and leaves nothing behind", async ({ folder }) => {
  await using dev = startPerdure(["dev", "--store-dir", folder, "--nats-port", "0"]);
  await until(
    "it has begun",
    async () => (await readFile(join(folder, "nats-server.lock")).catch(() => null)) !== null,
  );
  dev.kill("SIGTERM");

  expect((await dev.ended).status).toBe(0);
  await untilNothingNames(folder);
});
