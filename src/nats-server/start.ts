/**
 * Starts one nats-server with JetStream for this process: found or fetched, checked, owner of its store directory, on
 * loopback, fsync before every acknowledgement, and gone when this process is.
 *
 * The order matters. The store directory is looked at before a binary is fetched, so that a wrong path costs
 * milliseconds; the port is tried after the directory is locked, because a server dying with its parent holds both, and
 * the lock is what is waited for.
 */
import { randomBytes } from "node:crypto";
import { open, readFile, stat } from "node:fs/promises";
import { PerdureError } from "../errors.js";
import { type FindOptions, type FoundNatsServer, findNatsServer } from "./find.js";
import { assertPortFree } from "./port-probe.js";
import { type ServerAddress, untilReady } from "./readiness.js";
import { loopbackAddress, maxFileBytesFor, serverConfigText } from "./server-config.js";
import {
  type FreeBytesProbe,
  freeBytesOnDisk,
  furnishStoreDirectory,
  measureSpace,
  ownedByAnother,
  prepareStoreDirectory,
  type StoreDirectory,
  storeDirectoryAt,
} from "./store-directory.js";
import { launchSupervised, type ProcessExit, type SupervisedProcess } from "./supervised-process.js";

export interface NatsServerOptions extends FindOptions {
  /** Made when it does not exist. One running server owns it. */
  readonly storeDir: string;
  /** Default 0: a free one. */
  readonly port?: number | undefined;
  /** Where the server's own HTTP monitoring listens; 0 takes a free port. Default: nowhere. */
  readonly monitoringPort?: number | undefined;
  /** How the room left on the store's disk is found out. Default: statfs. */
  readonly freeBytes?: FreeBytesProbe | undefined;
}

export interface NatsServer extends AsyncDisposable {
  /** For example `nats://127.0.0.1:4222`. */
  readonly url: string;
  readonly port: number;
  /** For example `http://127.0.0.1:8222`; null when no monitoring port was asked for. */
  readonly monitoringUrl: string | null;
  readonly version: string;
  /** Path of the binary that runs. */
  readonly binary: string;
  /** The server's own pid. */
  readonly pid: number;
  /** Absolute. */
  readonly storeDir: string;
  readonly logPath: string;
  /** Resolves when the server has ended, for whatever reason. */
  readonly exited: Promise<ProcessExit>;
  /** Ends the server, gracefully when it can; resolves when it is gone. May be called twice, and after its death. */
  stop(): Promise<void>;
  /** Sends a signal to the server itself: how a crash, a freeze and its end are brought about in tests. */
  kill(signal: NodeJS.Signals): void;
}

/** Recovering a store of many gigabytes takes seconds; a server silent for a minute is not starting. */
const readyTimeoutMs = 60_000;

/** nats-server stops within milliseconds; one that is frozen or stuck on its disk is killed after this. */
const stopTimeoutMs = 5_000;

const logLinesInError = 20;
const logBytesInError = 16 * 1024;

/**
 * Resolves when clients can connect and JetStream answers, about 50 ms after the call when the binary is there. Rejects
 * with what `findNatsServer` rejects with, or with NATS_SERVER_STORE_UNUSABLE, NATS_SERVER_PORT_BUSY or
 * NATS_SERVER_START_FAILED, within two seconds; nothing is left running then. `signal` ends the start, not the server.
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const freeBytes = options.freeBytes ?? freeBytesOnDisk;
  const store = storeDirectoryAt(options.storeDir);
  await prepareStoreDirectory(store, freeBytes);
  const found = await findNatsServer(options);
  const logStart = await sizeOf(store.logPath);
  const server = await launch(found, store);
  const abandon = (): void => server.kill("SIGKILL");
  options.signal?.addEventListener("abort", abandon);
  try {
    options.signal?.throwIfAborted();
    await takeOwnership(server, store);
    const serverName = `perdure-${randomBytes(6).toString("hex")}`;
    const { port = 0, monitoringPort } = options;
    await assertPortFree(port);
    await assertPortFree(monitoringPort ?? 0);
    const maxFileBytes = maxFileBytesFor(await measureSpace(store, freeBytes));
    const config = serverConfigText({ serverName, port, monitoringPort, maxFileBytes });
    await furnishStoreDirectory(store, server.pid, config);
    server.proceed();
    const address = await untilReadyOrEnded(server, found, store, serverName);
    if (address === undefined) {
      const exit = await server.exited;
      // Somebody may have taken the port since it was tried; that has its own answer.
      await assertPortFree(port);
      await assertPortFree(monitoringPort ?? 0);
      throw await startFailed(found, store, logStart, exit);
    }
    options.signal?.throwIfAborted();
    return runningServer(server, found, store, address);
  } catch (error) {
    server.kill("SIGKILL");
    await server.exited;
    // A server that ended because the caller gave up has no fault of its own to report.
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", abandon);
  }
}

async function launch(found: FoundNatsServer, store: StoreDirectory): Promise<SupervisedProcess> {
  const folders = ["--store_dir", store.path, "--ports_file_dir", store.path];
  try {
    return await launchSupervised({
      binary: found.path,
      args: ["--config", store.configPath, "--log", store.logPath, ...folders],
      workingFolder: store.path,
      lockPath: store.lockPath,
      stderrPath: store.stderrPath,
    });
  } catch (error) {
    throw new PerdureError(
      "NATS_SERVER_START_FAILED",
      `could not start ${found.path} through /bin/sh: ${error instanceof Error ? error.message : String(error)}`,
      { details: { binary: found.path, storeDir: store.path }, cause: error },
    );
  }
}

async function takeOwnership(server: SupervisedProcess, store: StoreDirectory): Promise<void> {
  const outcome = await server.lock;
  switch (outcome) {
    case "held":
      return;
    case "takenByAnother":
      throw await ownedByAnother(store);
    case "impossible":
    case "endedBefore":
      throw new PerdureError(
        "NATS_SERVER_START_FAILED",
        `could not lock ${store.lockPath}, which keeps a second server off the store directory: the file system must ` +
          "allow locks, and flock or perl must be installed; nothing was started",
        { details: { storeDir: store.path, outcome } },
      );
  }
}

/** Undefined when the server ended, by itself or because it took too long. */
async function untilReadyOrEnded(
  server: SupervisedProcess,
  found: FoundNatsServer,
  store: StoreDirectory,
  serverName: string,
): Promise<ServerAddress | undefined> {
  const ended = new AbortController();
  const timer = setTimeout(() => server.kill("SIGKILL"), readyTimeoutMs);
  void server.exited.then(() => ended.abort());
  const expected = { pid: server.pid, binary: found.path, serverName, portsFolder: store.path };
  try {
    return await untilReady(expected, ended.signal);
  } finally {
    clearTimeout(timer);
  }
}

function runningServer(
  server: SupervisedProcess,
  found: FoundNatsServer,
  store: StoreDirectory,
  { port, monitoringPort }: ServerAddress,
): NatsServer {
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= stopProcess(server);
    return stopped;
  };
  return {
    url: `nats://${loopbackAddress}:${port}`,
    port,
    monitoringUrl: monitoringPort === null ? null : `http://${loopbackAddress}:${monitoringPort}`,
    version: found.version,
    binary: found.path,
    pid: server.pid,
    storeDir: store.path,
    logPath: store.logPath,
    exited: server.exited,
    stop,
    kill: (signal) => server.kill(signal),
    [Symbol.asyncDispose]: stop,
  };
}

async function stopProcess(server: SupervisedProcess): Promise<void> {
  const timer = setTimeout(() => server.kill("SIGKILL"), stopTimeoutMs);
  server.kill("SIGTERM");
  // A frozen server sees the SIGTERM only once it goes on.
  server.kill("SIGCONT");
  await server.exited;
  clearTimeout(timer);
}

async function startFailed(
  found: FoundNatsServer,
  store: StoreDirectory,
  logStart: number,
  exit: ProcessExit,
): Promise<PerdureError> {
  const logged = await linesSince(store.logPath, logStart);
  const printed = (await readFile(store.stderrPath, "utf8").catch(() => "")).slice(-logBytesInError).split("\n");
  const lines = [...logged, ...printed].map((line) => line.trim()).filter((line) => line !== "");
  const lastLines = lines.slice(-logLinesInError);
  const end = exit.signal === null ? `ended with code ${exit.code}` : `was ended by ${exit.signal}`;
  return new PerdureError(
    "NATS_SERVER_START_FAILED",
    `nats-server ${found.version} (${found.path}) ${end} before it was ready; its last words: ` +
      `${lastLines.at(-1) ?? "none"} (${store.logPath})`,
    { details: { binary: found.path, storeDir: store.path, logPath: store.logPath, ...exit, lastLines } },
  );
}

/** The log goes on from earlier starts; what this start wrote begins at `start`, unless the log was rotated since. */
async function linesSince(path: string, start: number): Promise<readonly string[]> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const from = Math.max(size < start ? 0 : start, size - logBytesInError);
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(size - from), position: from });
      return buffer.toString("utf8", 0, bytesRead).split("\n");
    } finally {
      await file.close();
    }
  } catch {
    return [];
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
