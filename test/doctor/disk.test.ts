/** Room that runs out: of the account, of a stream, of the server, of the disk. */
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Connection } from "../../src/jetstream/connection.js";
import { provision } from "../../src/jetstream/provision.js";
import { DEFAULT_NAMESPACE } from "../../src/protocol/ids.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { startConfigured } from "../support/configured-nats.js";
import { freePort } from "../support/free-port.js";
import { newNamespace, useNats } from "../support/nats.js";
import { api, editStream, store } from "./api.js";
import { codesOf, findingOf, givenConnection, lookAt } from "./examined.js";

const nats = useNats();

const MIB = 1024 * 1024;

const withAccountLimit = `
jetstream { store_dir: "STORE" }
accounts { APP { jetstream { max_file: 10MB }, users: [{ user: app, password: p }] } }`;

/** Stores as much as this share of 10 MiB. */
async function fill(connection: Connection, percent: number): Promise<void> {
  await api(connection, "STREAM.CREATE.THEIRS", { name: "THEIRS", subjects: ["theirs"] });
  const pieces = 20;
  const piece = "x".repeat((percent / 100) * ((10 * MIB) / pieces));
  for (let index = 0; index < pieces; index += 1) await store(connection, "theirs", piece);
}

it.each([
  [85, "disk/account-near-limit"],
  [97, "disk/account-full"],
] as const)("says that %i%% of what the account may store are taken", async (percent, code) => {
  await using server = await startConfigured(withAccountLimit);
  const url = `nats://app:p@127.0.0.1:${server.port}`;
  await fill(await givenConnection(url), percent);

  expect(findingOf(await lookAt(url), code).details).toMatchObject({ storageBytesMax: 10 * MIB });
});

it("warns of what limits of streams reserve", async () => {
  await using server = await startConfigured(withAccountLimit);
  const url = `nats://app:p@127.0.0.1:${server.port}`;
  const connection = await givenConnection(url);
  await api(connection, "STREAM.CREATE.THEIRS", { name: "THEIRS", subjects: ["theirs"], max_bytes: 9 * MIB });

  expect(codesOf(await lookAt(url))).toContain("disk/account-near-limit");
});

it.each([
  [85, "disk/stream-near-limit"],
  [100, "disk/stream-full"],
] as const)("says that a stream holds %i of the 100 messages it may hold", async (messages, code) => {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  const { journal } = topologyOf(namespace);
  await provision(connection, topologyOf(namespace), { replicas: 1, serverSync: "always" });
  await editStream(connection, journal.name, { max_msgs: 100 });
  for (let index = 0; index < messages; index += 1) await store(connection, journal.subjects[0] ?? "", "{}");

  expect(findingOf(await lookAt(nats.url, { namespace }), code).details).toMatchObject({ messages, messagesMax: 100 });
});

it("says that a stream holds nearly the bytes it may hold", async () => {
  const namespace = newNamespace();
  const connection = await givenConnection(nats.url);
  const { journal } = topologyOf(namespace);
  await provision(connection, topologyOf(namespace), { replicas: 1, serverSync: "always" });
  await editStream(connection, journal.name, { max_bytes: MIB });
  await store(connection, journal.subjects[0] ?? "", "x".repeat(0.9 * MIB));

  expect(codesOf(await lookAt(nats.url, { namespace }))).toContain("disk/stream-near-limit");
});

it.each([
  [85, "disk/server-near-limit"],
  [97, "disk/server-full"],
] as const)("says that %i%% of what the server may store are taken", async (percent, code) => {
  const port = await freePort();
  await using server = await startConfigured(
    `http: "127.0.0.1:${port}"\njetstream { store_dir: "STORE", max_file: 10MB }`,
  );
  await fill(await givenConnection(server.url), percent);

  const report = await lookAt(server.url, { monitoringUrl: `http://127.0.0.1:${port}` });

  expect(findingOf(report, code).details).toMatchObject({ storageBytesMax: 10 * MIB });
});

it.each([
  [500 * MIB, "disk/low"],
  [10 * MIB, "disk/full"],
] as const)("says that %i bytes are left on the server's disk, and of which folder", async (freeBytes, code) => {
  const port = await freePort();
  await using server = await startConfigured(`http: "127.0.0.1:${port}"\njetstream { store_dir: "STORE" }`);

  const report = await lookAt(server.url, {
    monitoringUrl: `http://127.0.0.1:${port}`,
    space: () => Promise.resolve({ freeBytes, totalBytes: 1_000 * MIB }),
  });

  expect(findingOf(report, code).details).toMatchObject({ path: join(server.folder, "store", "jetstream"), freeBytes });
});

it("measures the real disk", async () => {
  const port = await freePort();
  await using server = await startConfigured(`http: "127.0.0.1:${port}"\njetstream { store_dir: "STORE" }`);

  const report = await lookAt(server.url, { monitoringUrl: `http://127.0.0.1:${port}` });

  const disk = report.checks.find(({ check }) => check === "disk");
  expect(disk?.seen.join()).toMatch(/[\d.]+ \wiB of [\d.]+ \wiB are free under/);
  expect(disk?.skipped).toEqual([]);
});

it("says that the folder of a server of ours is gone", async () => {
  const connection = await givenConnection(nats.url);
  await provision(connection, topologyOf(DEFAULT_NAMESPACE), { replicas: 1, serverSync: "always" });
  const answer = await connection.request("$SYS.REQ.USER.INFO", "", { timeoutMs: 1_000 });
  const [, serverName = ""] = /"name":"([^"]+)"/.exec(Buffer.from(answer.data).toString()) ?? [];
  const dataPath = nats.jetstreamFolder;
  await rename(dataPath, `${dataPath}-moved`);

  const local = { serverName, dataPath, sync: "always", storageBytesMax: 0 } as const;
  const report = await lookAt(nats.url, { local });
  const ofAnother = await lookAt(nats.url, { local: { ...local, serverName: "another" } });

  expect(findingOf(report, "disk/store-missing").details).toEqual({ path: dataPath });
  expect(codesOf(ofAnother)).not.toContain("disk/store-missing");
  await rename(`${dataPath}-moved`, dataPath);
  await mkdir(dataPath, { recursive: true });
});
