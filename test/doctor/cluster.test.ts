/** Three servers, of which some go away. */
import { expect, it } from "vitest";
import { provision } from "../../src/jetstream/provision.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { useCluster } from "../support/cluster.js";
import { newNamespace } from "../support/nats.js";
import { untilHolds } from "../support/until.js";
import { editStream } from "./api.js";
import { codesOf, findingOf, givenConnection, lookAt } from "./examined.js";

const cluster = useCluster();

const look = (namespace: ReturnType<typeof newNamespace>) =>
  lookAt(cluster.servers[0].url, { namespace, timeoutMs: 1_000 });

async function givenStreams(replicas: number) {
  const namespace = newNamespace();
  const connection = await givenConnection(cluster.servers[0].url);
  const make = () => provision(connection, topologyOf(namespace), { replicas, serverSync: "unknown" });
  // A cluster that has just started elects its leader first.
  await untilHolds("the streams are made", make, () => true, { deadlineMs: 25_000 });
  return { namespace, connection };
}

// One test, because each look takes more away.
it("judges a cluster by its replicas, and by who is left of it", { timeout: 120_000 }, async () => {
  const single = await givenStreams(1);
  const triple = await givenStreams(3);

  expect(findingOf(await look(single.namespace), "durability/one-replica").details).toEqual({ servers: 3 });
  const ofStore = async () => codesOf(await look(triple.namespace)).filter((code) => !code.startsWith("orchestrator/"));
  await untilHolds("nothing is wrong with three copies", ofStore, (codes) => codes.length === 0);

  // More replicas than an orchestrator asks for are left alone.
  const again = await provision(triple.connection, topologyOf(triple.namespace), {
    replicas: 1,
    serverSync: "unknown",
  });
  expect(again).toEqual({ durability: "replicated", replicas: 3 });

  const tasks = `KV_${topologyOf(triple.namespace).tasks.bucket}`;
  await editStream(triple.connection, tasks, { num_replicas: 1 });
  expect(findingOf(await look(triple.namespace), "streams/replicas-differ").details).toEqual({
    most: 3,
    fewer: [{ stream: tasks, replicas: 1 }],
  });
  await editStream(triple.connection, tasks, { num_replicas: 3 });

  await cluster.servers[2].stop();
  const behind = async () => codesOf(await look(triple.namespace));
  await untilHolds("one is missed", behind, (codes) => codes.includes("streams/replica-behind"), {
    deadlineMs: 30_000,
  });

  await cluster.servers[1].stop();
  const leaderless = await untilHolds("nobody leads", behind, (codes) => codes.includes("account/jetstream-silent"), {
    deadlineMs: 30_000,
  });
  expect(leaderless).toContain("streams/no-leader");
});
