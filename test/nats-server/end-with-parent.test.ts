import { once } from "node:events";
/** A server ends with the process that started it, however that ends: real processes, really killed. */
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { beforeAll, expect } from "vitest";
import { findNatsServer } from "../../src/nats-server/find.js";
import { startNatsServer } from "../../src/nats-server/start.js";
import { untilSome } from "../support/until.js";
import { startInChild } from "./child-parent.js";
import { writeFakeServer } from "./fake-server.js";
import { folderTest } from "./folder-test.js";
import { isRunning, processesNaming, untilGone, untilNothingNames } from "./processes.js";

let binary: string;

beforeAll(async () => {
  binary = (await findNatsServer()).path;
});

folderTest.for(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "ends with a parent that dies of %s",
  async (signal, { folder }) => {
    await using parent = startInChild(folder, binary);
    const server = await parent.ready;

    parent.process.kill(signal);

    await untilGone(server?.pid ?? 0);
    await untilNothingNames(folder);
  },
);

folderTest.for([
  ["exits", "process.exit(0);"],
  ["throws", "process.stderr.destroy(); throw new Error();"],
] as const)("ends with a parent that %s", async ([, afterwards], { folder }) => {
  await using parent = startInChild(folder, binary, afterwards);
  const server = await parent.ready;

  await untilGone(server?.pid ?? 0);
});

folderTest("goes on while its parent is frozen", async ({ folder }) => {
  await using parent = startInChild(folder, binary);
  const server = await parent.ready;
  parent.process.kill("SIGSTOP");

  const socket = connect(server?.port ?? 0, "127.0.0.1");
  const [greeting] = (await once(socket, "data")) as [Buffer];
  socket.destroy();

  expect(greeting.toString()).toMatch(/^INFO /);
  expect(await isRunning(server?.pid ?? 0)).toBe(true);
});

folderTest("ends with its parent even when the server is frozen", async ({ folder }) => {
  await using parent = startInChild(folder, binary);
  const server = await parent.ready;
  process.kill(server?.pid ?? 0, "SIGSTOP");

  parent.process.kill("SIGKILL");

  await untilGone(server?.pid ?? 0);
});

folderTest("ends with a parent that dies before the server is ready", async ({ folder }) => {
  const hanging = await writeFakeServer(join(folder, "bin", "nats-server"), "2.15.0", "exec sleep 60");
  const storeDir = join(folder, "store");
  await using parent = startInChild(storeDir, hanging);
  const pid = await untilSome("the pid of the hanging server", async () => {
    const text = await readFile(join(storeDir, "nats-server.pid"), "utf8").catch(() => "");
    return text.endsWith("\n") ? Number(text) : undefined;
  });

  parent.process.kill("SIGKILL");

  await untilGone(pid);
  await untilNothingNames(storeDir);
});

folderTest("ends with its parent after somebody killed the guard between them", async ({ folder }) => {
  await using parent = startInChild(folder, binary);
  const server = await parent.ready;
  const firstGuard = (await processesNaming(`perdure-launch ${folder}`)).find(({ pid }) => pid !== server?.pid);

  process.kill(firstGuard?.pid ?? 0, "SIGKILL");
  const [secondGuard] = await untilSome("a second guard", async () => {
    const guards = await processesNaming(`perdure-guard ${server?.pid}`);
    return guards.length > 0 ? guards : undefined;
  });
  expect(await isRunning(server?.pid ?? 0)).toBe(true);
  expect(secondGuard?.pid).not.toBe(firstGuard?.pid);
  parent.process.kill("SIGKILL");

  await untilGone(server?.pid ?? 0);
  await untilGone(secondGuard?.pid ?? 0);
});

folderTest("leaves its store to the next start, which waits for it to die", async ({ folder }) => {
  await using parent = startInChild(folder, binary);
  const dying = await parent.ready;
  // Frozen, it dies only when the guard's patience ends, a second after its parent.
  process.kill(dying?.pid ?? 0, "SIGSTOP");
  parent.process.kill("SIGKILL");

  await using server = await startNatsServer({ storeDir: folder, binary, port: dying?.port ?? 0 });

  expect(server.port).toBe(dying?.port);
  expect(await isRunning(dying?.pid ?? 0)).toBe(false);
});
