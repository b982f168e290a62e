/** Perdure, the platform's members of ours on it, and one member that was there before us. */
import { connectClient } from "perdure";
import { connectFleet, type Fleet } from "perdure/bridges";
import { startLocalSystem } from "perdure/testing";
import { afterAll, beforeAll } from "vitest";
import type { Client } from "../../../src/client/client.js";
import { silentLogger } from "../../../src/logger.js";
import { type Part, type PartName, parts } from "../../../workflows/overmind/parts.js";
import { StateBucket } from "../../../workflows/overmind/state-bucket.js";
import { overmind } from "../../../workflows/overmind/topology.js";
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
  const stops: (() => Promise<unknown>)[] = [];
  let running: Omit<Platform, "start"> | undefined;
  const given = (): Omit<Platform, "start"> => {
    if (running === undefined) throw new Error("the platform does not run");
    return running;
  };
  beforeAll(async () => {
    const system = await startLocalSystem({ logger: silentLogger, heartbeatMs: 300 });
    stops.push(() => system.stop());
    const { url } = system;
    const fleet = await connectFleet({ servers: url, name: "test", topology: overmind, logger: silentLogger });
    stops.push(() => fleet.close());
    const bucket = await StateBucket.open(fleet, "mcp");
    const client = await connectClient({ servers: url });
    stops.push(() => client.close());
    const old = await OldMember.connect(url);
    stops.push(() => old[Symbol.asyncDispose]());
    running = { url, client, fleet, bucket, old };
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  return {
    get url() {
      return given().url;
    },
    get client() {
      return given().client;
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
      const connection = { servers: given().url, namespace: "mcp" };
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
