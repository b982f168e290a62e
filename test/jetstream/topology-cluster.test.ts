/** A declared topology on three servers: copies are what is declared, and more of them are somebody's decision. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Connection, connect } from "../../src/jetstream/connection.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { applyTopology } from "../../src/jetstream/topology-apply.js";
import { planTopology } from "../../src/jetstream/topology-plan.js";
import { silentLogger } from "../../src/logger.js";
import { useCluster } from "../support/cluster.js";
import { untilHolds } from "../support/until.js";

const cluster = useCluster();
let connection: Connection;

beforeAll(async () => {
  const servers = cluster.servers.map(({ url }) => url);
  connection = await connect({ servers, name: "test", logger: silentLogger });
});
afterAll(() => connection.close());

const declaredWith = (replicas: number | undefined) =>
  defineTopology("copies", {
    streams: { s: { subjects: ["s.>"], retention: "limits", replicas } },
    consumers: { c: { stream: "s" } },
  });

const copies = async () => (await (await managerOf(connection)).streams.info("s")).config.num_replicas;

it("makes as many copies as are declared, and takes none away that nobody spoke of", { timeout: 60_000 }, async () => {
  const apply = (replicas: number | undefined) =>
    applyTopology(connection, declaredWith(replicas), { onDataLoss: "refuse" });

  // A cluster that has just started elects its leader first.
  await untilHolds(
    "the topology is applied",
    () => apply(3),
    () => true,
    { deadlineMs: 25_000 },
  );
  expect(await copies()).toBe(3);
  const planned = await planTopology(connection, declaredWith(3));
  expect(planned).toEqual([
    { kind: "stream", name: "s", action: "none", settings: [] },
    { kind: "consumer", name: "c", stream: "s", action: "none", settings: [] },
  ]);

  expect(await apply(undefined)).toEqual([]);
  expect(await apply(1)).toMatchObject([{ settings: [{ setting: "replicas", found: 3, wanted: 1 }] }]);
  expect(await copies()).toBe(1);
});
