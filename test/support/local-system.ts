import { afterAll, beforeAll } from "vitest";
import { type Client, connectClient } from "../../src/client/client.js";
import { silentLogger } from "../../src/logger.js";
import { type LocalSystem, type LocalSystemOptions, startLocalSystem } from "../../src/testing/local-system.js";

export interface TestSystem {
  readonly url: string;
  readonly client: Client;
}

/** Registers the hooks that start a nats-server and an orchestrator before a file's tests and stop them after these. */
export function useLocalSystem(options: LocalSystemOptions = {}): TestSystem {
  let system: LocalSystem;
  let client: Client;
  beforeAll(async () => {
    system = await startLocalSystem({ logger: silentLogger, ...options });
    client = await connectClient({ servers: system.url });
  });
  afterAll(async () => {
    await client.close();
    await system.stop();
  });
  return {
    get url() {
      return system.url;
    },
    get client() {
      return client;
    },
  };
}
