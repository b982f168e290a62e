import type { NotKnown } from "../jetstream/inspector.js";
import { ownStreams } from "../jetstream/stream-settings.js";
import type { Namespace } from "../protocol/ids.js";
import { topologyOf } from "../protocol/topology.js";
import type { Facts } from "./facts.js";

type BehindTheConnection = Omit<Facts, "namespace" | "ownVersion" | "startedAt" | "dial">;

/** The facts of a server that could not be asked. */
export function nothingKnown(why: NotKnown, namespace: Namespace): BehindTheConnection {
  const topology = topologyOf(namespace);
  return {
    server: why,
    roundTripMs: why,
    deniedSubjects: [],
    accountName: why,
    account: why,
    streams: ownStreams(topology).map(({ name, wanted }) => ({
      name,
      subjects: wanted(1).subjects,
      stream: why,
      drift: [],
      consumers: why,
    })),
    foreignStreams: why,
    otherNamespaces: why,
    store: {
      journalName: topology.journal.name,
      resultsName: topology.results.name,
      metaBucket: topology.meta.bucket,
      lease: why,
      checkpointBefore: why,
      journalStream: why,
      checkpoint: why,
      journal: why,
      records: [],
    },
    orchestrator: {
      services: why,
      requests: [],
      connections: why,
      status: why,
      statusLater: why,
      health: why,
      tasks: why,
      tasksLater: why,
      orphans: why,
      unrecorded: why,
    },
    observed: { durationMs: 0, heartbeats: why, registrations: why },
    host: { monitoring: why, storageBytesMax: why, sync: why, store: why },
  };
}
