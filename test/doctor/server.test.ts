/** Servers that Perdure cannot work with, or not for long. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startNatsServer } from "../../src/nats-server/start.js";
import { startFakeOfVersion } from "../support/bare-nats.js";
import { startConfigured } from "../support/configured-nats.js";
import { freePort } from "../support/free-port.js";
import { until } from "../support/until.js";
import { codesOf, findingOf, givenConnection, lookAt } from "./examined.js";

const withJetStream = 'jetstream { store_dir: "STORE" }';

it("says that a server is too old, and which one is needed", async () => {
  await using server = await startFakeOfVersion("2.11.9");

  const report = await lookAt(server.url, { timeoutMs: 300 });

  expect(findingOf(report, "server/too-old").details).toEqual({ version: "2.11.9", needed: "2.12.0" });
});

it("says that max_payload is smaller than what the journal may write", async () => {
  await using server = await startConfigured(`max_payload: 64KB\n${withJetStream}`);

  const report = await lookAt(server.url);

  expect(findingOf(report, "server/payload-too-small").details).toMatchObject({ maxPayloadBytes: 65_536 });
});

it("says that headers are turned off", async () => {
  await using server = await startConfigured("no_header_support: true");

  // The server cannot say that nobody listens.
  expect(codesOf(await lookAt(server.url, { timeoutMs: 300 }))).toContain("server/no-headers");
});

it("warns of a server that is about to end", async () => {
  const folder = await mkdtemp(join(tmpdir(), "perdure-leaving-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await using server = await startNatsServer({ storeDir: folder });
  const looking = lookAt(server.url, { observeMs: 1_500, timeoutMs: 500 });
  const connection = await givenConnection(server.url);
  await until("the doctor is connected", async () => {
    const answer = await connection.request("$SYS.REQ.ACCOUNT.PING.CONNZ", "", { timeoutMs: 1_000 });
    return Buffer.from(answer.data).toString().includes("perdure doctor");
  });
  server.kill("SIGUSR2");

  expect(codesOf(await looking)).toContain("server/leaving");
  // It would let everybody go in peace for ten seconds.
  server.kill("SIGKILL");
});

it("says what the server's own health check says", async () => {
  const port = await freePort();
  await using server = await startConfigured(`http: "127.0.0.1:${port}"\n${withJetStream}`);
  const monitoringUrl = await givenMonitoring(port, '{"status":"unavailable","error":"JetStream stream not current"}');

  const report = await lookAt(server.url, { monitoringUrl });

  expect(findingOf(report, "server/unhealthy").summary).toContain("JetStream stream not current");
});

it("does not believe the monitoring port of another server", async () => {
  const port = await freePort();
  await using other = await startConfigured(`http: "127.0.0.1:${port}"\n${withJetStream}`);
  await using server = await startConfigured(withJetStream);

  const report = await lookAt(server.url, { monitoringUrl: `http://127.0.0.1:${port}/` });

  expect(other.port).not.toBe(server.port);
  expect(JSON.stringify(report)).toContain("is another server's");
});

/** The real monitoring port, but for what it says of its health. */
async function givenMonitoring(port: number, health: string): Promise<string> {
  const face = createServer((request, response) => {
    if (request.url === "/healthz") response.writeHead(503).end(health);
    else
      void fetch(`http://127.0.0.1:${port}${request.url}`)
        .then((answer) => answer.text())
        .then((text) => response.end(text));
  });
  await new Promise<void>((resolve) => face.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void face.close());
  const address = face.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}
