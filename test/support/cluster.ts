import { afterAll, beforeAll } from "vitest";
import { type ConfiguredNats, startConfigured } from "./configured-nats.js";
import { freePort } from "./free-port.js";

export type Cluster = readonly [ConfiguredNats, ConfiguredNats, ConfiguredNats];

/**
 * Registers the hooks that start three real nats-servers as one cluster before a file's tests and end them after these. It
 * has just started then: whoever asks it for a stream may have to ask again until it has elected its leader.
 */
export function useCluster(): { readonly servers: Cluster } {
  let servers: Cluster | undefined;

  beforeAll(async () => {
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
    const start = (name: string, port: number): Promise<ConfiguredNats> =>
      startConfigured(`
        server_name: ${name}
        jetstream { store_dir: "STORE" }
        cluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`);
    servers = await Promise.all([start("n0", ports[0]), start("n1", ports[1]), start("n2", ports[2])]);
  }, 60_000);
  afterAll(() => Promise.all((servers ?? []).map((server) => server[Symbol.asyncDispose]())));

  return {
    get servers() {
      if (servers === undefined) throw new Error("the cluster does not run");
      return servers;
    },
  };
}
