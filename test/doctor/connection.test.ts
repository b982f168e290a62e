/** What keeps anybody from talking to the server, each told apart. */

import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect as dial } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createAuthority } from "../support/certificates.js";
import { startConfigured } from "../support/configured-nats.js";
import { freePort } from "../support/free-port.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { codesOf, findingOf, givenConnection, givenListener, lookAt } from "./examined.js";

const nats = useNats();

/** Of a look at what is silent: each step waits for its whole time. */
const briefly = { timeoutMs: 400 };

it("says that a host name is unknown", async () => {
  const report = await lookAt("nats://no-such-host.invalid:4222");

  expect(codesOf(report)).toEqual(["connection/name-unknown"]);
  expect(report).toMatchObject({ verdict: "problem", reached: "no", server: null });
});

it("says that nobody listens", async () => {
  const port = await freePort();

  const report = await lookAt(`127.0.0.1:${port}`);

  expect(codesOf(report)).toEqual(["connection/refused"]);
  expect(findingOf(report, "connection/refused").summary).toContain(`nats://127.0.0.1:${port}`);
});

it("says what it could not look at without a connection, for every check", async () => {
  const report = await lookAt(`127.0.0.1:${await freePort()}`);

  const others = report.checks.filter(({ check }) => check !== "connection");
  expect(others.map(({ status }) => status)).toEqual(others.map(() => "skipped"));
  expect(new Set(others.flatMap(({ skipped }) => skipped))).toEqual(new Set(["there is no connection to a server"]));
});

it("says that a network does not lead anywhere", async () => {
  // The broadcast address takes no connections on any network.
  expect(codesOf(await lookAt("255.255.255.255:4222", briefly))).toEqual(["connection/unreachable"]);
});

it("recognises a web server", async () => {
  const server = createServer((_, response) => response.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;

  const report = await lookAt(`127.0.0.1:${port}`, briefly);

  expect(findingOf(report, "connection/not-nats").summary).toContain("HTTP/1.1");
});

it.each<[what: string, first: string]>([
  ["mail", "220 mail.example ESMTP\r\n"],
  ["a broken greeting", "INFO {\r\n"],
  ["another INFO", "INFO {}\r\n"],
])("recognises %s for what is no nats-server", async (_what, first) => {
  const address = await givenListener((socket) => void socket.write(first));

  expect(codesOf(await lookAt(address, briefly))).toEqual(["connection/not-nats"]);
});

it("says that somebody accepts connections and says nothing", async () => {
  const address = await givenListener(() => undefined);

  expect(codesOf(await lookAt(address, briefly))).toEqual(["connection/silent"]);
});

it("says that a connection is closed at once", async () => {
  const address = await givenListener((socket) => void socket.end());

  expect(codesOf(await lookAt(address, briefly))).toEqual(["connection/failed"]);
});

it("says that credentials are refused, and what the server asks for", async () => {
  await using server = await startConfigured("authorization { user: ada, password: secret }");

  const report = await lookAt(`nats://ada:wrong@127.0.0.1:${server.port}`);

  expect(codesOf(report)).toEqual(["connection/credentials-refused"]);
  expect(JSON.stringify(report)).toContain("It asks for credentials");
  expect(JSON.stringify(report)).not.toContain("wrong");
});

it("says that a certificate is not trusted", async () => {
  const authority = createAuthority("test authority");
  const own = authority.issue("localhost");
  await using server = await startConfigured(
    'tls { cert_file: "server.pem", key_file: "server-key.pem" }',
    async (folder) => {
      await writeFile(join(folder, "server.pem"), own.certificatePem);
      await writeFile(join(folder, "server-key.pem"), own.keyPem);
    },
  );

  expect(codesOf(await lookAt(server.url))).toEqual(["connection/tls-failed"]);
});

it("passes on why else the server lets nobody in", async () => {
  await using server = await startConfigured("max_connections: 1");
  await givenConnection(server.url);

  const report = await lookAt(server.url, briefly);

  expect(findingOf(report, "connection/failed").summary).toContain("maximum connections exceeded");
});

it.each(["http://127.0.0.1:4222", "nats://ada:secret@", ""])("says that %j is no address", async (address) => {
  const report = await lookAt(address);

  expect(codesOf(report)).toEqual(["connection/address-unusable"]);
  expect(JSON.stringify(report)).not.toContain("secret");
});

it("warns of servers of the list that are away", async () => {
  const absent = `127.0.0.1:${await freePort()}`;

  const report = await lookAt([nats.url, absent]);

  expect(findingOf(report, "connection/some-unreachable").details).toEqual({ servers: [`nats://${absent}`] });
});

it("says that the user can get no answers", async () => {
  await using server = await startConfigured(
    'authorization { users: [{ user: ada, password: secret, permissions: { subscribe: { deny: "_INBOX.>" } } }] }',
  );

  const report = await lookAt(`nats://ada:secret@127.0.0.1:${server.port}`);

  expect(codesOf(report)).toEqual(["connection/replies-denied"]);
});

it("warns of a slow way to the server", async () => {
  const { port } = new URL(nats.url);
  const address = await givenListener((socket) => {
    const upstream = dial(Number(port), "127.0.0.1");
    upstream.on("data", (chunk) => setTimeout(() => socket.write(chunk), 300));
    socket.on("data", (chunk) => upstream.write(chunk));
    socket.on("close", () => upstream.destroy());
  });

  const report = await lookAt(address);

  expect(findingOf(report, "connection/slow").details["roundTripMs"]).toBeGreaterThan(290);
});

it("says that a server is frozen, and does not wait for it long", async () => {
  const startedAt = performance.now();
  await nats.freeze();

  const report = await lookAt(nats.url, briefly);

  expect(report.verdict).toBe("problem");
  // The kernel still accepts for it.
  expect(codesOf(report)).toEqual(["connection/silent"]);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

it("says that a server froze in the middle of it", async () => {
  const looking = lookAt(nats.url, { ...briefly, observeMs: 1_500 });
  await doctorIsConnected();
  await nats.freeze();

  const report = await looking;

  // What else did not answer is not held against it.
  const others = codesOf(report).filter((code) => !code.startsWith("orchestrator/"));
  expect(others).toEqual(["connection/server-silent"]);
});

it("says that the server died in the middle of it", async () => {
  const looking = lookAt(nats.url, { observeMs: 10_000 });
  await doctorIsConnected();
  await nats.kill();
  const startedAt = performance.now();

  const report = await looking;

  expect(codesOf(report)).toContain("connection/lost");
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  await nats.restart();
});

async function doctorIsConnected(): Promise<void> {
  const connection = await givenConnection(nats.url);
  await until("the doctor is connected", async () => {
    const answer = await connection.request("$SYS.REQ.ACCOUNT.PING.CONNZ", "", { timeoutMs: 1_000 });
    return Buffer.from(answer.data).toString().includes("perdure doctor");
  });
}

it("recognises a server that wants TLS first, and says how to give it that", async () => {
  const own = createAuthority("test authority").issue("localhost");
  const config = 'tls { cert_file: "server.pem", key_file: "server-key.pem", handshake_first: true }';
  await using server = await startConfigured(config, async (folder) => {
    await writeFile(join(folder, "server.pem"), own.certificatePem);
    await writeFile(join(folder, "server-key.pem"), own.keyPem);
  });

  const plain = await lookAt(server.url, briefly);
  const told = await lookAt(server.url, { connection: { servers: server.url, tls: { handshake: "first" } } });

  expect(findingOf(plain, "connection/silent").advice).toContain("--tlsfirst");
  expect(codesOf(told)).toEqual(["connection/tls-failed"]);
});
