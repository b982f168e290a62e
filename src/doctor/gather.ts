/**
 * Finds out everything about a set-up, in order: the network, the server, then all the rest at once. Every question has a
 * time limit. When the connection is lost, or the server falls silent, what is still asked ends at once, unanswered.
 */
import { setMaxListeners } from "node:events";
import { type Clock, systemClock } from "../clock.js";
import { PerdureError } from "../errors.js";
import { type ConnectFault, connectFaultOf } from "../jetstream/connect-fault.js";
import { type Connection, connect } from "../jetstream/connection.js";
import { addressesOf, type ConnectionOptions, libraryOptionsFor } from "../jetstream/connection-options.js";
import { Inspector, known, notKnown } from "../jetstream/inspector.js";
import { accountFactsOf, accountNameOf, greetingOf } from "../jetstream/server-facts.js";
import type { ServerAddress } from "../jetstream/server-url.js";
import { type OwnStreamFacts, ownStreamFacts } from "../jetstream/stream-facts.js";
import { silentLogger } from "../logger.js";
import type { Namespace } from "../protocol/ids.js";
import { topologyOf } from "../protocol/topology.js";
import { version } from "../version.js";
import type { DialFacts, Facts, ServerProbe, StoreFacts } from "./facts.js";
import { foreignStreams, otherNamespaces } from "./gather-foreign.js";
import { gatherHost, type LocalServer, type SpaceProbe } from "./gather-host.js";
import { lookAgain, lookAtOrchestrator } from "./gather-orchestrator.js";
import { gatherStore } from "./gather-store.js";
import { nothingKnown } from "./nothing-known.js";
import { observe } from "./observe.js";
import { probeServer } from "./probe-server.js";

export interface GatherOptions {
  readonly connection: ConnectionOptions & { readonly servers: string | readonly string[] };
  readonly namespace: Namespace;
  /** Of each question, and of the connection. */
  readonly timeoutMs: number;
  /** How long agents are listened to. */
  readonly observeMs: number;
  /** Of the server's monitoring port; default: port 8222 of its host. */
  readonly monitoringUrl?: string | undefined;
  readonly local?: LocalServer | undefined;
  readonly space?: SpaceProbe | undefined;
  readonly clock?: Clock | undefined;
}

const LOST = "the connection was lost";
const SILENT = "the server fell silent";

/** @throws PerdureError USAGE for credentials that cannot be used, before anything is dialled. */
export async function gatherFacts(options: GatherOptions): Promise<Facts> {
  const { connection: asked, timeoutMs, clock = systemClock } = options;
  const startedAt = clock.now();
  const addresses = readAddresses(asked.servers);
  if (addresses instanceof PerdureError) {
    const connected = { fault: "other", said: addresses.message } as const;
    return unconnected(options, startedAt, { probes: [], connected, interruption: null });
  }
  // Throws for credentials that cannot be used, also where there will be nobody to show them to.
  libraryOptionsFor(asked, addresses, silentLogger);
  const probes = await Promise.all(addresses.map((address) => probeServer(address, timeoutMs)));
  const servers = serversToDial(options, probes);
  const connection = await tryToConnect({ ...asked, ...credentialsOf(asked, addresses), servers }, timeoutMs);
  if ("fault" in connection) {
    return unconnected(options, startedAt, { probes, connected: connection, interruption: null });
  }
  const lost = new AbortController();
  // Everything that is asked at once listens to it.
  setMaxListeners(0, lost.signal);
  const stopListening = connection.onEvent((event) => {
    if (event !== "reconnected") lost.abort(LOST);
  });
  try {
    const inspector = new Inspector(connection, { timeoutMs, clock, signal: lost.signal });
    return await gatherConnected(options, inspector, { startedAt, probes, lost });
  } finally {
    stopListening();
    await connection.close();
  }
}

function readAddresses(servers: string | readonly string[]): readonly ServerAddress[] | PerdureError {
  try {
    return addressesOf(servers);
  } catch (error) {
    if (error instanceof PerdureError) return error;
    throw error;
  }
}

/** The client library stumbles over what is no server, and waits for ever for one that is silent. */
function serversToDial({ connection }: GatherOptions, probes: readonly ServerProbe[]): readonly string[] {
  const servers = [connection.servers].flat();
  const mayBeSilent = connection.tls?.handshake === "first";
  return servers.filter((_, index) => {
    const outcome = probes[index]?.outcome;
    return outcome === "greeted" || (mayBeSilent && (outcome === "silent" || outcome === "closed"));
  });
}

/** Those of a URL count for all servers, also where its own is not dialled. */
function credentialsOf(
  { token, user, credsFile, nkeyFile, userJwt }: ConnectionOptions,
  addresses: readonly ServerAddress[],
): ConnectionOptions {
  if ([token, user, credsFile, nkeyFile, userJwt].some((given) => given !== undefined)) return {};
  const inUrl = addresses.find((address) => address.user !== undefined || address.token !== undefined);
  return inUrl === undefined ? {} : { user: inUrl.user, password: inUrl.password, token: inUrl.token };
}

async function tryToConnect(
  connection: GatherOptions["connection"],
  timeoutMs: number,
): Promise<Connection | { readonly fault: ConnectFault; readonly said: string }> {
  if (connection.servers.length === 0) return { fault: "other", said: "no server greeted" };
  try {
    return await connect({
      ...connection,
      name: "perdure doctor",
      connectionTimeoutMs: timeoutMs,
      logger: silentLogger,
    });
  } catch (error) {
    if (error instanceof PerdureError && error.code === "CONNECTION_FAILED") {
      const { cause } = error;
      return { fault: connectFaultOf(error), said: cause instanceof Error ? cause.message : error.message };
    }
    throw error;
  }
}

async function gatherConnected(
  options: GatherOptions,
  inspector: Inspector,
  begun: { readonly startedAt: number; readonly probes: readonly ServerProbe[]; readonly lost: AbortController },
): Promise<Facts> {
  const { namespace, observeMs, timeoutMs } = options;
  const { startedAt, probes, lost } = begun;
  const { url } = inspector.connection;
  const greeting = greetingOf(inspector);
  const roundTripMs = await inspector.ping();
  if (!roundTripMs.known && roundTripMs.reason !== "denied")
    lost.abort(roundTripMs.reason === "silent" ? SILENT : LOST);
  // Without replies every question would wait for its whole time.
  if (!roundTripMs.known && roundTripMs.reason === "denied") lost.abort(roundTripMs.why);
  const [[streams, store], firstLook, observed, accountName, account, foreign, others] = await Promise.all([
    lookAtStore(inspector, namespace),
    lookAtOrchestrator(inspector, namespace),
    observe(inspector, namespace, observeMs),
    accountNameOf(inspector),
    accountFactsOf(inspector),
    foreignStreams(inspector, namespace),
    otherNamespaces(inspector, namespace),
  ]);
  const secondLook = await lookAgain(inspector, namespace, store);
  const host =
    greeting === undefined
      ? nothingKnown(notKnown("lost", LOST), namespace).host
      : await gatherHost(greeting, {
          monitoringUrl: options.monitoringUrl,
          local: options.local,
          timeoutMs,
          space: options.space,
        });
  const stillThere = await inspector.ping();
  // A server that is about to leave says so to those it has; it lets nobody new in.
  const lastGreeting = greetingOf(inspector) ?? greeting;
  const fellSilent = lost.signal.reason === SILENT || (!stillThere.known && stillThere.reason === "silent");
  const wasLost = lost.signal.reason === LOST || (!stillThere.known && stillThere.reason === "lost");
  return {
    namespace,
    ownVersion: version,
    startedAt,
    dial: { probes, connected: { url }, interruption: fellSilent ? "silent" : wasLost ? "lost" : null },
    server: lastGreeting === undefined ? notKnown("lost", LOST) : known(lastGreeting),
    roundTripMs,
    deniedSubjects: inspector.deniedSubjects,
    accountName,
    account,
    streams,
    foreignStreams: foreign,
    otherNamespaces: others,
    store,
    orchestrator: { ...firstLook, ...secondLook },
    observed,
    host,
  };
}

async function lookAtStore(
  inspector: Inspector,
  namespace: Namespace,
): Promise<readonly [readonly OwnStreamFacts[], StoreFacts]> {
  const streams = await ownStreamFacts(inspector, topologyOf(namespace));
  return [streams, await gatherStore(inspector, namespace, streams)];
}

function unconnected({ namespace }: GatherOptions, startedAt: number, dial: DialFacts): Facts {
  const why = notKnown("notAsked", "there is no connection to a server");
  return { namespace, ownVersion: version, startedAt, dial, ...nothingKnown(why, namespace) };
}
