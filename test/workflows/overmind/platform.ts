/** Perdure, the platform's members of ours on it, and one member that was there before us. */
import { connectFleet, type Fleet } from "perdure/bridges";
import { afterAll, beforeAll } from "vitest";
import type { Client } from "../../../src/client/client.js";
import { silentLogger } from "../../../src/logger.js";
import { type Part, type PartName, parts } from "../../../workflows/overmind/parts.js";
import { StateBucket } from "../../../workflows/overmind/state-bucket.js";
import { overmind } from "../../../workflows/overmind/topology.js";
import { useLocalSystem } from "../../support/local-system.js";
import { OldMember } from "./old-member.js";

export interface Platform {
  readonly url: string;
  readonly client: Client;
  readonly fleet: Fleet;
  readonly bucket: StateBucket;
  readonly old: OldMember;
  /** Stopped with the file's tests, or by hand before. */
  start(name: PartName): Promise<Part>;
}

/** Registers the hooks that start it before a file's tests and stop it after them. */
export function usePlatform(): Platform {
  const system = useLocalSystem({ heartbeatMs: 300 });
  const stops: (() => Promise<unknown>)[] = [];
  let running: Pick<Platform, "fleet" | "bucket" | "old"> | undefined;
  const given = (): Pick<Platform, "fleet" | "bucket" | "old"> => {
    if (running === undefined) throw new Error("the platform does not run");
    return running;
  };
  beforeAll(async () => {
    const fleet = await connectFleet({ servers: system.url, name: "test", topology: overmind, logger: silentLogger });
    stops.push(() => fleet.close());
    const bucket = await StateBucket.open(fleet, "mcp");
    const old = await OldMember.connect(system.url);
    stops.push(() => old[Symbol.asyncDispose]());
    running = { fleet, bucket, old };
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  return {
    get url() {
      return system.url;
    },
    get client() {
      return system.client;
    },
    get fleet() {
      return given().fleet;
    },
    get bucket() {
      return given().bucket;
    },
    get old() {
      return given().old;
    },
    start: async (name) => {
      const connection = { servers: system.url, namespace: "mcp" };
      const part = await parts[name]({ connection, http: { host: "127.0.0.1", port: 0 }, logger: silentLogger });
      let stopped: Promise<void> | undefined;
      const stop = (): Promise<void> => {
        stopped ??= part.stop();
        return stopped;
      };
      stops.push(stop);
      return { url: part.url, stop, ended: part.ended };
    },
  };
}
