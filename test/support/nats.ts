import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";
import { type Connection, connect } from "../../src/jetstream/connection.js";
import { type Logger, silentLogger } from "../../src/logger.js";
import { type NatsServer, startNatsServer } from "../../src/nats-server/start.js";
import type { Namespace } from "../../src/protocol/ids.js";

/** A real nats-server with JetStream, fsync before every acknowledgement, for one test file. */
export interface TestNats {
  readonly url: string;
  /** Closed after the test that opened it. */
  connect(options?: TestConnectOptions): Promise<Connection>;
  /** Stops the server's process where it stands: sockets stay open, nothing is answered. Thawed after the test. */
  freeze(): void;
  thaw(): void;
  /** Kills it with SIGKILL and starts another on the same port and store. */
  killAndRestart(): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
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
    freeze: () => {
      running().kill("SIGSTOP");
      frozen = true;
    },
    thaw,
    kill,
    restart: start,
    killAndRestart: async () => {
      await kill();
      await start();
    },
  };
}

/** Each test has its own, so that tests of one server never see each other's streams. */
export function newNamespace(): Namespace {
  return `t${randomBytes(6).toString("hex")}` as Namespace;
}
