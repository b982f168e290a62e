import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll } from "vitest";
import { type Connection, connect } from "../../src/jetstream/connection.js";
import { type Logger, silentLogger } from "../../src/logger.js";
import { type NatsServer, startNatsServer } from "../../src/nats-server/start.js";
import type { Namespace } from "../../src/protocol/ids.js";
import { until } from "./until.js";

/** A real nats-server with JetStream, fsync before every acknowledgement, for one test file. */
export interface TestNats {
  readonly url: string;
  /** Closed after the test that opened it. */
  connect(options?: TestConnectOptions): Promise<Connection>;
  /** Stops the server's process where it stands: sockets stay open, nothing is answered. Thawed after the test. */
  freeze(): Promise<void>;
  thaw(): void;
  /** SIGKILL; whatever the server had not written yet is lost. */
  kill(): Promise<void>;
  /** Lets the server end by itself. */
  stop(): Promise<void>;
  /** Starts a server on the same port and store after `kill` or `stop`. */
  restart(): Promise<void>;
  /** Where JetStream keeps its files. */
  readonly jetstreamFolder: string;
}

export interface TestConnectOptions {
  readonly name?: string;
  readonly logger?: Logger;
}

/** Registers the hooks that start a server before a file's tests and stop it after them. */
export function useNats(): TestNats {
  let server: NatsServer | undefined;
  let storeDir = "";
  let port = 0;
  let frozen = false;
  const connections: Connection[] = [];

  const running = (): NatsServer => {
    if (server === undefined) throw new Error("the test file's nats-server does not run");
    return server;
  };
  const start = async (): Promise<void> => {
    server = await startNatsServer({ storeDir, port });
    port = server.port;
  };
  const kill = async (): Promise<void> => {
    running().kill("SIGKILL");
    await running().exited;
    await running().stop();
  };
  const thaw = (): void => {
    if (frozen) running().kill("SIGCONT");
    frozen = false;
  };

  beforeAll(async () => {
    storeDir = await mkdtemp(join(tmpdir(), "perdure-test-"));
    await start();
  });
  afterEach(async () => {
    thaw();
    await Promise.all(connections.splice(0).map((connection) => connection.close()));
  });
  afterAll(async () => {
    await server?.stop();
    await rm(storeDir, { recursive: true, force: true });
  });

  return {
    get url() {
      return running().url;
    },
    connect: async (options = {}) => {
      const connection = await connect({
        servers: running().url,
        name: options.name ?? "test",
        connectionTimeoutMs: 5_000,
        reconnectWaitMs: 20,
        maxReconnects: -1,
        logger: options.logger ?? silentLogger,
      });
      connections.push(connection);
      return connection;
    },
    freeze: async () => {
      const { pid } = running();
      running().kill("SIGSTOP");
      frozen = true;
      // The signal takes a moment, in which the server may still answer.
      await until("the server stands still", async () => (await stateOf(pid)) === "T");
    },
    thaw,
    kill,
    stop: () => running().stop(),
    restart: start,
    get jetstreamFolder() {
      return join(storeDir, "jetstream");
    },
  };
}

/** The kernel's letter for what a process does; T: stopped. */
async function stateOf(pid: number): Promise<string> {
  const { stdout } = await promisify(execFile)("ps", ["-o", "state=", "-p", String(pid)]);
  return stdout.trim().slice(0, 1);
}

/** Each test has its own, so that tests of one server never see each other's streams. */
export function newNamespace(): Namespace {
  return `t${randomBytes(6).toString("hex")}` as Namespace;
}
