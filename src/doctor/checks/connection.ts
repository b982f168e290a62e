/** Can the server be reached, does it let us in, does it answer? */
import type { ConnectFault } from "../../jetstream/connect-fault.js";
import type { DialFacts, Facts, ServerProbe } from "../facts.js";
import type { Notes } from "../finding.js";
import type { FindingCode } from "../finding-codes.js";

/** From here on each commit takes so long that people notice. */
const ROUND_TRIP_MS_MAX = 250;

interface Diagnosis {
  readonly code: FindingCode;
  readonly what: string;
  readonly advice: string;
}

/** What the network said of one address that nobody greeted on. */
const probeDiagnoses: Readonly<Record<Exclude<ServerProbe["outcome"], "greeted">, Diagnosis>> = {
  nameUnknown: {
    code: "connection/name-unknown",
    what: "its host name cannot be resolved",
    advice: "Check the name for typing errors, and that this machine's DNS knows it.",
  },
  refused: {
    code: "connection/refused",
    what: "nobody listens there",
    advice: "Start the server (`perdure dev` starts one), or correct host and port (--server, NATS_URL).",
  },
  unreachable: {
    code: "connection/unreachable",
    what: "the network does not get there",
    advice: "Check the address, the route and firewalls between here and there.",
  },
  silent: {
    code: "connection/silent",
    what: "somebody accepts connections there and says nothing",
    advice:
      "The server may be frozen (SIGCONT, or restart it), want TLS from the first byte (--tlsfirst), or a proxy stands before a server that is down.",
  },
  closed: {
    code: "connection/failed",
    what: "the connection was closed before anybody could say who they are",
    advice:
      "Look at the server's log: a limit of connections (max_connections) is usual. A proxy or load balancer without a server behind it does this too.",
  },
  notNats: {
    code: "connection/not-nats",
    what: "what answers there is no nats-server",
    advice: "Give the client port (4222 unless set), not that of monitoring (8222), a cluster route or a web socket.",
  },
};

/** What kept us out of a server that greeted. */
const faultDiagnoses: Readonly<Record<ConnectFault, Diagnosis>> = {
  credentials: {
    code: "connection/credentials-refused",
    what: "the server refused the credentials, or wants some",
    advice: "Check user, password, token, creds or nkey, and that the account still exists and they have not expired.",
  },
  tls: {
    code: "connection/tls-failed",
    what: "no TLS session came about",
    advice:
      "Name the authority that signed the server's certificate (--tlsca), use a host name that is in the certificate, and check that it has not expired.",
  },
  nameUnknown: probeDiagnoses.nameUnknown,
  refused: probeDiagnoses.refused,
  unreachable: probeDiagnoses.unreachable,
  other: {
    code: "connection/failed",
    what: "the server greeted and then did not let us in",
    advice: "Look at the server's log, which says what it did not like.",
  },
};

export function checkConnection({ dial, roundTripMs }: Facts, notes: Notes): void {
  const { connected, probes, interruption } = dial;
  if (!("url" in connected)) {
    explainFailure(dial, notes);
    return;
  }
  notes.see(`connected to ${connected.url}`);
  const absent = probes.filter(({ outcome }) => outcome !== "greeted");
  if (absent.length > 0) {
    notes.find(
      "connection/some-unreachable",
      `${absent.length} of ${probes.length} servers cannot be reached: ${absent.map(describe).join("; ")}.`,
      "Clients go on with the others. Bring the missing ones back, or take them out of the list.",
      { servers: absent.map(({ url }) => url) },
    );
  }
  if (interruption === "lost") {
    notes.find(
      "connection/lost",
      `The connection to ${connected.url} was lost while looking.`,
      "The server ended or the network broke: look at the server's log, then run this again.",
    );
  } else if (interruption === "silent") {
    notes.find(
      "connection/server-silent",
      `${connected.url} accepts connections and does not answer.`,
      "The server is frozen, stuck on its disk or out of processor time: look at its process (a stopped one goes on with SIGCONT) and its log.",
    );
  }
  noteRoundTrip(roundTripMs, notes);
}

function noteRoundTrip(roundTripMs: Facts["roundTripMs"], notes: Notes): void {
  if (!roundTripMs.known) {
    if (roundTripMs.reason !== "denied") return;
    notes.find(
      "connection/replies-denied",
      `No answer can reach this user: ${roundTripMs.why}.`,
      "Allow the user to subscribe to its inbox (_INBOX.>), or say which one it has (--inbox-prefix).",
    );
    return;
  }
  const ms = roundTripMs.value;
  notes.see(`round trip ${ms.toFixed(1)} ms`);
  if (ms <= ROUND_TRIP_MS_MAX) return;
  notes.find(
    "connection/slow",
    `A round trip to the server takes ${Math.round(ms)} ms.`,
    "If orchestrators are as far away, each commit waits as long: run them near the server. If it is usually faster, the server or the network is overloaded.",
    { roundTripMs: Math.round(ms) },
  );
}

function explainFailure({ probes, connected }: DialFacts, notes: Notes): void {
  for (const probe of probes) {
    if (probe.outcome !== "greeted") {
      const { code, advice } = probeDiagnoses[probe.outcome];
      notes.find(code, `No connection: ${describe(probe)}.`, advice, { server: probe.url });
      continue;
    }
    if ("url" in connected) continue;
    const { code, what, advice } = faultDiagnoses[connected.fault];
    const wants = probe.wants.length === 0 ? "" : ` It asks for ${probe.wants.join(" and ")}.`;
    notes.find(code, `No connection: ${probe.url}: ${what} (${connected.said}).${wants}`, advice, {
      server: probe.url,
      wants: probe.wants,
    });
  }
  if (probes.length > 0 || "url" in connected) return;
  notes.find(
    "connection/address-unusable",
    connected.said,
    "Give addresses like nats://127.0.0.1:4222, several with commas between them (--server, NATS_URL).",
  );
}

function describe(probe: ServerProbe): string {
  if (probe.outcome === "greeted") return probe.url;
  const said = probe.said === "" ? "" : ` (${probe.said})`;
  return `${probe.url}: ${probeDiagnoses[probe.outcome].what}${said}`;
}
