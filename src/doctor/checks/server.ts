/** Is the nats-server one that Perdure can work with? */
import { isVersionAtLeast, SERVER_VERSION_MIN } from "../../jetstream/provision.js";
import { FLUSH_BYTES_MAX } from "../../protocol/limits.js";
import type { Facts } from "../facts.js";
import type { Notes } from "../finding.js";

/** A flush and the headers that go with it. */
const PAYLOAD_BYTES_MIN = FLUSH_BYTES_MAX + 4_096;

export function checkServer({ server, orchestrator, host }: Facts, notes: Notes): void {
  const greeting = notes.need(server);
  if (greeting === undefined) return;
  const { serverName, version, maxPayloadBytes, takesHeaders, isLeaving } = greeting;
  notes.see(`${serverName} is nats-server ${version}, max_payload ${maxPayloadBytes}`);
  if (!isVersionAtLeast(version, SERVER_VERSION_MIN)) {
    notes.find(
      "server/too-old",
      `${serverName} is nats-server ${version}; Perdure needs ${SERVER_VERSION_MIN} or newer, for atomic batches.`,
      "Upgrade the server. Orchestrators refuse to start on this one.",
      { version, needed: SERVER_VERSION_MIN },
    );
  }
  if (maxPayloadBytes < PAYLOAD_BYTES_MIN) {
    notes.find(
      "server/payload-too-small",
      `max_payload is ${maxPayloadBytes} bytes, and one flush of the journal may take ${PAYLOAD_BYTES_MIN}.`,
      "Set `max_payload: 1MB` or more in the server's configuration and reload it: under load, writes will be refused.",
      { maxPayloadBytes, needed: PAYLOAD_BYTES_MIN },
    );
  }
  if (!takesHeaders) {
    notes.find(
      "server/no-headers",
      "The server has message headers turned off, and every write of Perdure carries some.",
      "Remove `no_header_support` from the server's configuration and restart it.",
    );
  }
  if (isLeaving) {
    notes.find(
      "server/leaving",
      `${serverName} is in lame duck mode: it is about to end.`,
      "Expected while a server is replaced; connections move to another one of its cluster. A single server has to be started again.",
    );
  }
  checkPeers(orchestrator, notes);
  checkHealth(host, notes);
}

function checkPeers({ connections }: Facts["orchestrator"], notes: Notes): void {
  if (!connections.known) return;
  const { peers } = connections.value;
  if (peers.length > 1) notes.see(`${peers.length} servers answer for this account`);
  const versions = new Set(peers.map(({ version }) => version));
  if (versions.size > 1) {
    notes.find(
      "server/versions-differ",
      `Servers of different versions: ${peers.map(({ name, version }) => `${name} ${version}`).join(", ")}.`,
      "Expected during an upgrade; finish it. The oldest one decides what all of them can do.",
      { servers: peers.map(({ name, version }) => ({ name, version })) },
    );
  }
  for (const { name, version } of peers) {
    if (isVersionAtLeast(version, SERVER_VERSION_MIN)) continue;
    if (versions.size === 1) continue;
    notes.find(
      "server/too-old",
      `${name} of the same cluster is nats-server ${version}; Perdure needs ${SERVER_VERSION_MIN} or newer.`,
      "Upgrade that server too: a stream that it leads refuses atomic batches.",
      { server: name, version, needed: SERVER_VERSION_MIN },
    );
  }
}

function checkHealth({ monitoring }: Facts["host"], notes: Notes): void {
  const found = notes.need(monitoring);
  if (found === undefined) return;
  const { health, url } = found;
  notes.see(`monitoring at ${url} says ${health.isOk ? "healthy" : health.said}`);
  if (health.isOk) return;
  notes.find(
    "server/unhealthy",
    `The server says that it is not healthy: ${health.said} (${url}/healthz).`,
    "Look at the server's log: a stream or its storage is not ready, or JetStream was turned off after an error of the disk.",
  );
}
