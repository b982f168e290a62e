/** What a started server is like, and why one is not started. Every server here is a real one. */
import { execFileSync } from "node:child_process";
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { beforeAll, expect, vi } from "vitest";
import { findNatsServer } from "../../src/nats-server/find.js";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../../src/nats-server/start.js";
import { untilSome } from "../support/until.js";
import { writeFakeServer } from "./fake-server.js";
import { folderTest } from "./folder-test.js";
import { isRunning, untilNothingNames } from "./processes.js";

let binary: string;

beforeAll(async () => {
  binary = (await findNatsServer()).path;
});

/** Listens on a port of its own choice for as long as the test needs it busy. */
async function busyPort(): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer();
  const port = await new Promise<number>((resolve, reject) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      address !== null && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"));
    });
  });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** What a start is refused with. That takes a second or two, and never as long as a start may. */
async function refusalOf(options: NatsServerOptions): Promise<unknown> {
  const startedAt = performance.now();
  let server: NatsServer;
  try {
    server = await startNatsServer(options);
  } catch (error) {
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    return error;
  }
  await server.stop();
  return expect.fail("the server started");
}

folderTest("is ready for clients, with JetStream on disk, when the start resolves", async ({ folder }) => {
  const storeDir = join(folder, "new", "store");
  await using server = await startNatsServer({ storeDir, binary });

  const connection = await connect({ servers: server.url, reconnect: false });
  const manager = await jetstreamManager(connection);
  const stream = await manager.streams.add({ name: "LETTERS", subjects: ["letters"] });
  await connection.close();

  expect(stream.config.storage).toBe("file");
  expect(await readdir(join(storeDir, "jetstream", "$G", "streams"))).toEqual(["LETTERS"]);
  expect(server).toMatchObject({ storeDir, binary, version: (await findNatsServer({ binary })).version });
});

folderTest("listens on loopback only, syncs always and has a limit on disk", async ({ folder }) => {
  await using server = await startNatsServer({ storeDir: folder, binary, monitoringPort: 0 });

  const response = await fetch(`${server.monitoringUrl}/varz`);
  const varz: unknown = await response.json();

  expect(varz).toMatchObject({
    host: "127.0.0.1",
    port: server.port,
    http_host: "127.0.0.1",
    jetstream: { config: { sync_always: true, store_dir: join(folder, "jetstream") } },
  });
  const configured = /max_file: (\d+)/.exec(await readFile(join(folder, "nats-server.conf"), "utf8"))?.[1];
  expect(varz).toMatchObject({ jetstream: { config: { max_storage: Number(configured) } } });
});

folderTest("has no monitoring port unless asked", async ({ folder }) => {
  await using server = await startNatsServer({ storeDir: folder, binary });

  expect(server.monitoringUrl).toBeNull();
});

folderTest("limits data to three quarters of what is used and free", async ({ folder }) => {
  const freeBytes = 100 * 1024 * 1024;
  const blocks = join(folder, "jetstream", "blocks");
  await mkdir(blocks, { recursive: true });
  await writeFile(join(blocks, "1.blk"), Buffer.alloc(1024 * 1024, 1));
  const { blocks: usedBlocks } = await stat(join(blocks, "1.blk"));

  await using server = await startNatsServer({ storeDir: folder, binary, freeBytes: async () => freeBytes });

  const config = await readFile(join(server.storeDir, "nats-server.conf"), "utf8");
  expect(config).toContain(`max_file: ${Math.floor((freeBytes + usedBlocks * 512) * 0.75)}\n`);
});

folderTest("refuses a publish at once when the disk limit is reached", async ({ folder }) => {
  await using server = await startNatsServer({ storeDir: folder, binary, freeBytes: async () => 17 * 1024 * 1024 });
  const connection = await connect({ servers: server.url, reconnect: false });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "LETTERS", subjects: ["letters"] });
  const client = jetstream(connection);

  const fill = async (): Promise<never> => {
    for (;;) {
      await client.publish("letters", new Uint8Array(900_000));
    }
  };

  await expect(fill()).rejects.toMatchObject({ code: 10_023 });
  await connection.close();
});

folderTest("keeps what was acknowledged through a kill -9, on the same port", async ({ folder }) => {
  const first = await startNatsServer({ storeDir: folder, binary });
  const connection = await connect({ servers: first.url, reconnect: false });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "LETTERS", subjects: ["letters"] });
  await jetstream(connection).publish("letters", "kept");
  first.kill("SIGKILL");
  expect(await first.exited).toEqual({ code: null, signal: "SIGKILL" });
  await connection.closed();

  await using second = await startNatsServer({ storeDir: folder, binary, port: first.port });

  const again = await connect({ servers: second.url, reconnect: false });
  const message = await (await jetstreamManager(again)).streams.getMessage("LETTERS", { seq: 1 });
  await again.close();
  expect(second.port).toBe(first.port);
  expect(message?.string()).toBe("kept");
});

folderTest("works in a folder whose name would need quoting", async ({ folder }) => {
  const storeDir = join(folder, `it's "$HOME" \\ {a} ünï`);
  await using server = await startNatsServer({ storeDir, binary });

  expect(await readdir(storeDir)).toContain("jetstream");
  expect(await readdir(folder)).toHaveLength(1);
  expect(server.storeDir).toBe(storeDir);
});

folderTest("leaves nothing that others can read, even in a folder they may enter", async ({ folder }) => {
  await chmod(folder, 0o755);
  await using server = await startNatsServer({ storeDir: folder, binary });

  const names = await readdir(server.storeDir, { recursive: true });
  const openToOthers: string[] = [];
  for (const name of names) {
    if (((await stat(join(folder, name))).mode & 0o077) !== 0) {
      openToOthers.push(name);
    }
  }
  expect(names).toContain("nats-server.log");
  expect(openToOthers).toEqual([]);
});

folderTest("ends cleanly when stopped, and may be stopped again", async ({ folder }) => {
  const server = await startNatsServer({ storeDir: folder, binary });

  await Promise.all([server.stop(), server.stop()]);
  await server.stop();

  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(await isRunning(server.pid)).toBe(false);
});

folderTest("ends cleanly even when it was frozen", async ({ folder }) => {
  const server = await startNatsServer({ storeDir: folder, binary });
  server.kill("SIGSTOP");

  await server.stop();

  expect(await server.exited).toEqual({ code: 0, signal: null });
});

folderTest("refuses a busy port by its number, and leaves the store free", async ({ folder }) => {
  {
    await using busy = await busyPort();

    const refusal = await refusalOf({ storeDir: folder, binary, port: busy.port });

    expect(refusal).toMatchObject({
      code: "NATS_SERVER_PORT_BUSY",
      message: expect.stringContaining(`port ${busy.port}`),
      details: { port: busy.port },
    });
  }
  await using server = await startNatsServer({ storeDir: folder, binary });
  expect(server.port).toBeGreaterThan(0);
});

folderTest("refuses a busy monitoring port by its number", async ({ folder }) => {
  await using busy = await busyPort();

  const refusal = await refusalOf({ storeDir: folder, binary, monitoringPort: busy.port });

  expect(refusal).toMatchObject({ code: "NATS_SERVER_PORT_BUSY", details: { port: busy.port } });
});

folderTest("refuses a store path that is a file", async ({ folder }) => {
  const storeDir = join(folder, "file");
  await writeFile(storeDir, "");

  expect(await refusalOf({ storeDir, binary })).toMatchObject({
    code: "NATS_SERVER_STORE_UNUSABLE",
    message: expect.stringMatching(/\/file: .*not a directory/),
  });
  expect(await refusalOf({ storeDir: join(storeDir, "below"), binary })).toMatchObject({
    code: "NATS_SERVER_STORE_UNUSABLE",
    message: expect.stringMatching(/\/below: .*not a directory/),
  });
});

folderTest("refuses a store directory where the file system takes none", async () => {
  // Below /proc nothing can be made; Node's own recursive mkdir tries there for ever.
  await expect(startNatsServer({ storeDir: "/proc/perdure/store", binary })).rejects.toMatchObject({
    code: "NATS_SERVER_STORE_UNUSABLE",
    message: expect.stringContaining("/proc/perdure/store"),
  });
});

folderTest("refuses a store directory whose data is not a directory", async ({ folder }) => {
  await writeFile(join(folder, "jetstream"), "");

  expect(await refusalOf({ storeDir: folder, binary })).toMatchObject({
    code: "NATS_SERVER_STORE_UNUSABLE",
    message: expect.stringContaining("not a directory"),
  });
});

folderTest("refuses a store directory that this user may not write to", async ({ folder }) => {
  const compiledStart = new URL("../../dist/src/nats-server/start.js", import.meta.url).href;
  const storeDir = join(folder, "store");
  await mkdir(storeDir);
  await chmod(folder, 0o755);
  await chmod(storeDir, 0o555);
  // Root may write anywhere, so where the tests run as root the child becomes nobody once its code is loaded.
  const script = `
    import { startNatsServer } from ${JSON.stringify(compiledStart)};
    if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
    const options = ${JSON.stringify({ storeDir, binary })};
    await startNatsServer(options).catch(({ code, message }) => console.log(JSON.stringify({ code, message })));
  `;

  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    encoding: "utf8",
  });

  expect(JSON.parse(printed)).toEqual({
    code: "NATS_SERVER_STORE_UNUSABLE",
    message: expect.stringContaining("may not write"),
  });
});

folderTest("refuses a store directory on a full disk", async ({ folder }) => {
  const freeBytes = async (): Promise<number> => 3 * 1024 * 1024;

  const refusal = await refusalOf({ storeDir: folder, binary, freeBytes });

  expect(refusal).toMatchObject({
    code: "NATS_SERVER_STORE_UNUSABLE",
    message: expect.stringMatching(/disk is full: 3 MiB are free, and at least 16 are needed/),
  });
});

folderTest("refuses a store directory with a live owner, naming its pid", async ({ folder }) => {
  await using owner = await startNatsServer({ storeDir: folder, binary });

  const refusal = await refusalOf({ storeDir: folder, binary });

  expect(refusal).toMatchObject({
    code: "NATS_SERVER_STORE_UNUSABLE",
    message: expect.stringContaining(`pid ${owner.pid}`),
    details: { storeDir: folder, pid: owner.pid },
  });
  expect(await isRunning(owner.pid)).toBe(true);
});

folderTest("gives a store directory to one of two that start at once", async ({ folder }) => {
  const outcomes = await Promise.allSettled([1, 2].map(() => startNatsServer({ storeDir: folder, binary })));

  const winners = outcomes.filter((outcome) => outcome.status === "fulfilled").map(({ value }) => value);
  const refusals = outcomes.filter((outcome) => outcome.status === "rejected").map(({ reason }) => reason);
  await Promise.all(winners.map((winner) => winner.stop()));
  expect(winners).toHaveLength(1);
  expect(refusals).toEqual([expect.objectContaining({ code: "NATS_SERVER_STORE_UNUSABLE" })]);
});

folderTest("keeps owners apart where there is perl and no flock, as on macOS", async ({ folder }) => {
  const programs = join(folder, "bin");
  await mkdir(programs);
  for (const name of ["perl", "sleep"]) {
    await symlink(execFileSync("which", [name], { encoding: "utf8" }).trim(), join(programs, name));
  }
  vi.stubEnv("PATH", programs);
  try {
    const storeDir = join(folder, "store");
    await using owner = await startNatsServer({ storeDir, binary });

    const refusal = await refusalOf({ storeDir, binary });

    expect(refusal).toMatchObject({ code: "NATS_SERVER_STORE_UNUSABLE", details: { pid: owner.pid } });
  } finally {
    vi.unstubAllEnvs();
  }
});

folderTest("starts nothing where no program can lock", async ({ folder }) => {
  vi.stubEnv("PATH", folder);
  try {
    const refusal = await refusalOf({ storeDir: folder, binary });

    expect(refusal).toMatchObject({
      code: "NATS_SERVER_START_FAILED",
      message: expect.stringContaining("flock or perl"),
    });
  } finally {
    vi.unstubAllEnvs();
  }
});

folderTest("reports the last words of a server that dies at its start", async ({ folder }) => {
  const dying = await writeFakeServer(
    join(folder, "bin", "nats-server"),
    "2.15.0",
    "echo the disk is cheese >&2; exit 3",
  );

  const refusal = await refusalOf({ storeDir: join(folder, "store"), binary: dying });

  expect(refusal).toMatchObject({
    code: "NATS_SERVER_START_FAILED",
    message: expect.stringMatching(/ended with code 3 .*the disk is cheese/),
    details: { code: 3, lastLines: ["the disk is cheese"] },
  });
});

folderTest("reports what the log of this start says, not of earlier ones", async ({ folder }) => {
  // Called as nats-server --config FILE --log FILE and so on.
  const dying = await writeFakeServer(join(folder, "bin", "nats-server"), "2.15.0", 'echo "last word" >> "$4"; exit 1');
  const storeDir = join(folder, "store");
  await mkdir(storeDir);
  await writeFile(join(storeDir, "nats-server.log"), "an earlier word\n");

  expect(await refusalOf({ storeDir, binary: dying })).toMatchObject({
    code: "NATS_SERVER_START_FAILED",
    message: expect.stringContaining("last word"),
    details: { lastLines: ["last word"] },
  });
});

folderTest("starts nothing once its caller has given up", async ({ folder }) => {
  const reason = new Error("the caller gave up");
  const hanging = await writeFakeServer(join(folder, "bin", "nats-server"), "2.15.0", "exec sleep 60");
  const caller = new AbortController();
  const storeDir = join(folder, "store");

  const starting = startNatsServer({ storeDir, binary: hanging, signal: caller.signal });
  await untilSome("the owner's pid", () => stat(join(storeDir, "nats-server.pid")).catch(() => undefined));
  caller.abort(reason);

  await expect(starting).rejects.toBe(reason);
  await untilNothingNames(folder);
});
