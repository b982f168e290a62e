/** `perdure orchestrator` as a supervisor sees it: its line on stdout, its log, its signals and its exit status. */
import { createServer } from "node:net";
import { expect, it, vi } from "vitest";
import { subjectOfKey } from "../../src/jetstream/bucket-names.js";
import { META_KEYS, topologyOf } from "../../src/protocol/topology.js";
import { startFakeOfVersion, startWithoutJetStream } from "../support/bare-nats.js";
import { startConfigured } from "../support/configured-nats.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until, untilSome } from "../support/until.js";
import { perdure, type Running, startPerdure } from "./perdure.js";

vi.setConfig({ testTimeout: 60_000 });

const nats = useNats();

const start = (namespace: string, ...args: readonly string[]): Running =>
  startPerdure(["orchestrator", "--server", nats.url, "--namespace", namespace, ...args]);

const ready = (running: Running): Promise<string> =>
  untilSome("it is ready", () => running.lines[0], { deadlineMs: 40_000 });

const log = (running: Running): readonly Record<string, unknown>[] =>
  running
    .errors()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

it("says on stdout that it is ready, and a submission is accepted from then on", async () => {
  const namespace = newNamespace();
  await using orchestrator = start(namespace);

  const line = await ready(orchestrator);
  const submitted = await perdure(["submit", "ocr", "--server", nats.url, "--namespace", namespace]);

  expect(line).toBe(`ready ${nats.url}`);
  expect(submitted.status).toBe(0);
});

it("logs JSON lines on stderr and nothing else", async () => {
  await using orchestrator = start(newNamespace());
  await ready(orchestrator);

  expect(log(orchestrator)).toContainEqual(expect.objectContaining({ level: 30, msg: "leading" }));
});

it("runs with the settings it is given", async () => {
  const namespace = newNamespace();
  await using orchestrator = start(
    namespace,
    "--max-concurrent-tasks",
    "1",
    "--heartbeat",
    "5s",
    "--log-level",
    "warn",
  );
  await ready(orchestrator);
  const connection = await nats.connect();
  const statuses: string[] = [];
  connection.subscribe(`${namespace}.agent.hand-1.task`, () => undefined);
  connection.subscribe(`${namespace}.agent.hand-1.status`, ({ data }) => statuses.push(new TextDecoder().decode(data)));
  const registration = { agentId: "hand-1", capabilities: ["ocr"], maxConcurrentTasks: 9 };
  const envelope = { messageId: "7e4b8e9a-6f9b-4d3b-9c05-0d1f0a4a8b11", timestamp: Date.now() };

  await connection.request(`${namespace}.agent.register`, JSON.stringify({ ...envelope, registration }), {
    timeoutMs: 5_000,
  });
  for (const id of ["a", "b"]) {
    await perdure(["submit", "ocr", "--id", id, "--server", nats.url, "--namespace", namespace]);
  }
  const explained = await perdure(["explain", "b", "--server", nats.url, "--namespace", namespace]);

  expect(statuses[0]).toContain('"heartbeatIntervalMs":5000');
  expect(explained.stdout).toContain("maxConcurrentTasks is 1");
  expect(orchestrator.errors()).toBe("");
});

it("serves HTTP where it was asked to", async () => {
  await using orchestrator = start(newNamespace(), "--http-port", "0");

  const [, , url = ""] = (await ready(orchestrator)).split(" ");

  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(await (await fetch(`${url}/metrics`)).text()).toContain("perdure_");
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  it(`ends in order with 0 at ${signal}`, async () => {
    await using orchestrator = start(newNamespace());
    await ready(orchestrator);
    orchestrator.kill(signal);

    expect((await orchestrator.ended).status).toBe(0);
    expect(log(orchestrator).at(-1)).toMatchObject({ msg: "stopped" });
  });
}

it("hands over to a standby, which was ready all the time", async () => {
  const namespace = newNamespace();
  await using first = start(namespace);
  await ready(first);
  await using second = start(namespace);
  await ready(second);
  first.kill("SIGTERM");
  await first.ended;

  await until("the other one leads", () => second.errors().includes('"leading"'));
  second.kill("SIGTERM");

  expect((await second.ended).status).toBe(0);
});

it("waits for a server that is started after it", async () => {
  const { port } = await startConfigured("").then(async (server) => {
    await server[Symbol.asyncDispose]();
    return server;
  });
  await using orchestrator = startPerdure(["orchestrator", "--server", `nats://127.0.0.1:${port}`]);
  await until("it says that it waits", () => orchestrator.errors().includes("waiting for a nats-server"));
  await using _server = await startConfigured(`jetstream { store_dir: "STORE" }`, undefined, port);

  expect(await ready(orchestrator)).toBe(`ready nats://127.0.0.1:${port}`);
});

it("gives up a wait that is interrupted", async () => {
  await using orchestrator = startPerdure(["orchestrator", "--server", "nats://127.0.0.1:1"]);
  await until("it waits", () => orchestrator.errors().includes("waiting for a nats-server"));
  orchestrator.kill("SIGTERM");

  expect((await orchestrator.ended).status).toBe(0);
});

it("ends at once at the second signal", async () => {
  await using orchestrator = start(newNamespace());
  await ready(orchestrator);
  await nats.freeze();
  orchestrator.kill("SIGTERM");
  // Neither is answered by a server that stands still: the first would wait for it for seconds.
  await until("the signal is taken", () => {
    orchestrator.kill("SIGINT");
    return orchestrator.exited();
  });

  expect((await orchestrator.ended).status).toBe(null);
});

it.each<[what: string, status: number, code: string, start: () => Promise<AsyncDisposable & { readonly url: string }>]>(
  [
    [
      "there is no server",
      4,
      "CONNECTION_FAILED",
      async () => ({ url: "nats://127.0.0.1:1", [Symbol.asyncDispose]: async () => undefined }),
    ],
    ["the server is too old", 4, "NATS_SERVER_TOO_OLD", () => startFakeOfVersion("2.10.0")],
    ["the server has no JetStream", 4, "STORAGE_UNAVAILABLE", startWithoutJetStream],
    [
      "the server refuses the credentials",
      4,
      "CONNECTION_FAILED",
      () => startConfigured("authorization { token: t0ken }"),
    ],
  ],
)("ends when %s, with %i and %s in the log", async (_what, expected, code, startServer) => {
  await using server = await startServer();

  const { status, stdout, stderr } = await perdure(["orchestrator", "--server", server.url, "--timeout", "1200ms"]);

  expect(JSON.parse(stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({ level: 60, code });
  expect({ status, stdout }).toEqual({ status: expected, stdout: "" });
});

it("does not wait for a server that refuses it", async () => {
  await using server = await startConfigured("authorization { token: t0ken }");

  const { status, stderr } = await perdure(["orchestrator", "--server", server.url]);

  expect(stderr).not.toContain("waiting");
  expect(status).toBe(4);
});

it("ends with 6 on a store that is damaged, and names what", async () => {
  const namespace = newNamespace();
  await using first = start(namespace);
  await ready(first);
  first.kill("SIGTERM");
  await first.ended;
  const connection = await nats.connect();
  const key = subjectOfKey(topologyOf(namespace).meta.bucket, META_KEYS.checkpoint);
  await connection.request(key, "[]", { timeoutMs: 5_000 });

  await using second = start(namespace);

  expect(await second.ended).toMatchObject({ status: 6, stdout: "" });
  expect(log(second)).toContainEqual(expect.objectContaining({ level: 60, code: "STORE_DAMAGED" }));
});

it("refuses an HTTP port that is taken, before it connects", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  const { status, stderr } = await perdure([
    "orchestrator",
    "--server",
    "nats://127.0.0.1:1",
    "--http-port",
    `${port}`,
  ]);
  await new Promise((resolve) => taken.close(resolve));

  expect(stderr).toContain("perdure: USAGE: ");
  expect(status).toBe(2);
});
