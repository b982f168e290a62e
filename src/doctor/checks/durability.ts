/** What does an acknowledged submission survive? */
import { durabilityOf } from "../../jetstream/provision.js";
import type { Facts } from "../facts.js";
import type { Notes } from "../finding.js";

const sure =
  "Set `jetstream { sync_interval: always }` on the server, or run the journal with 3 replicas in a cluster.";

export function checkDurability(facts: Facts, notes: Notes): void {
  const { store, host, orchestrator } = facts;
  const stream = notes.need(store.journalStream);
  const claimed = orchestrator.status.known ? orchestrator.status.value.value.durability : null;
  if (claimed !== null) notes.see(`the orchestrator says ${claimed}`);
  if (host.sync.known) notes.see(`the server syncs ${host.sync.value === "always" ? "always" : "now and then"}`);
  else notes.skip(host.sync.why);
  if (stream === undefined || stream === null) return;
  const { replicas, name } = stream;
  notes.see(`${name} has ${replicas} ${replicas === 1 ? "replica" : "replicas"}`);
  const actual = durabilityOf(replicas, host.sync.known ? host.sync.value : "unknown");
  // What cannot be seen from here may have been known to whoever started the server.
  const believed = !host.sync.known && actual === "unverified" && claimed !== null ? claimed : actual;
  const isOverstated =
    (claimed === "fsync" && host.sync.known && host.sync.value === "interval") ||
    (claimed === "replicated" && replicas < 3);
  if (isOverstated) {
    notes.find(
      "durability/overstated",
      `The orchestrator says that submissions are ${claimed === "fsync" ? "on disk" : "on a quorum of servers"} when they are answered, and they are not: ${actual}.`,
      `The server's settings changed after the orchestrator started, or it was told otherwise. ${sure} Then restart the orchestrator.`,
      { claimed, actual },
    );
  } else if (believed === "relaxed") {
    notes.find(
      "durability/relaxed",
      "The server writes to disk now and then, and there is one copy: a power cut loses what was answered in the last minutes.",
      sure,
    );
  } else if (believed === "unverified") {
    notes.find(
      "durability/unverified",
      "There is one copy, and nobody here knows whether the server syncs before it acknowledges.",
      `${sure} To have it checked: open the server's monitoring port (\`http: 127.0.0.1:8222\`), and give its address with --monitoring.`,
    );
  }
  const peers = orchestrator.connections.known ? orchestrator.connections.value.peers.length : 1;
  if (replicas > 1 || peers < 3) return;
  notes.find(
    "durability/one-replica",
    `${peers} servers answer for this account, and ${name} is on one of them only: nothing is accepted while that one is away.`,
    "Start the orchestrator with `replicas: 3`.",
    { servers: peers },
  );
}
