/**
 * Finds out everything about a set-up, in order: the network, the server, then all the rest at once. Every question has a
 * time limit. When the connection is lost, or the server falls silent, what is still asked ends at once, unanswered.
 */
import { setMaxListeners } from "node:events";
import { type Clock, systemClock } from "../clock.js";
import { Inspector, type Known, known, notKnown, type Unknowable } from "../jetstream/inspector.js";
import { accountFactsOf, accountNameOf, type Greeting, greetingOf } from "../jetstream/server-facts.js";
import { type OwnStreamFacts, ownStreamFacts } from "../jetstream/stream-facts.js";
import type { Namespace } from "../protocol/ids.js";
import { topologyOf } from "../protocol/topology.js";
import { version } from "../version.js";
import { dial, type Target } from "./dial.js";
import type { DialFacts, Facts, HostFacts, StoreFacts } from "./facts.js";
import { foreignStreams, otherNamespaces } from "./gather-foreign.js";
import { gatherHost, type LocalServer, type SpaceProbe } from "./gather-host.js";
import { lookAgain, lookAtOrchestrator } from "./gather-orchestrator.js";
import { gatherStore } from "./gather-store.js";
import { nothingKnown } from "./nothing-known.js";
import { observe } from "./observe.js";

export interface GatherOptions {
  readonly connection: Target;
  readonly namespace: Namespace;
  /** Of each question, and of the connection. */
  readonly timeoutMs: number;
  /** How long agents are listened to. */
  readonly observeMs: number;
  /** Of the server's monitoring port; default: port 8222 of its host. */
  readonly monitoringUrl?: string | undefined;
  readonly local?: LocalServer | undefined;
  /** How the room on a disk is found out. Default: statfs. */
  readonly space?: SpaceProbe | undefined;
  readonly clock?: Clock | undefined;
}

type Behind = Omit<Facts, "namespace" | "ownVersion" | "startedAt" | "dial">;

const LOST = "the connection was lost";
const SILENT = "the server fell silent";
const abortReasons: Partial<Record<Unknowable, string>> = { silent: SILENT, lost: LOST };

/** @throws PerdureError USAGE for credentials that cannot be used, before anything is dialled. */
export async function gatherFacts(options: GatherOptions): Promise<Facts> {
  const { namespace, timeoutMs, clock = systemClock } = options;
  const begun = { namespace, ownVersion: version, startedAt: clock.now() };
  const { probes, connection } = await dial(options.connection, timeoutMs);
  if ("fault" in connection) {
    const why = notKnown("notAsked", "there is no connection to a server");
    return { ...begun, dial: { probes, connected: connection, interruption: null }, ...nothingKnown(why, namespace) };
  }
  const { url } = connection;
  const lost = new AbortController();
  // Everything that is asked at once listens to it.
  setMaxListeners(0, lost.signal);
  const stopListening = connection.onEvent(() => lost.abort(LOST));
  try {
    const inspector = new Inspector(connection, { timeoutMs, clock, signal: lost.signal });
    const behind = await gatherBehind(options, inspector, lost);
    const interruption = await interruptionOf(inspector);
    return { ...begun, dial: { probes, connected: { url }, interruption }, ...behind };
  } finally {
    stopListening();
    await connection.close();
  }
}

async function gatherBehind(options: GatherOptions, inspector: Inspector, lost: AbortController): Promise<Behind> {
  const { namespace, observeMs } = options;
  const greeting = greetingOf(inspector);
  const roundTripMs = await inspector.ping();
  // Without answers every question would wait for its whole time.
  if (!roundTripMs.known) lost.abort(abortReasons[roundTripMs.reason] ?? roundTripMs.why);
  const [[streams, store], firstLook, observed, accountName, account, foreign, others, host] = await Promise.all([
    lookAtStore(inspector, namespace),
    lookAtOrchestrator(inspector, namespace),
    observe(inspector, namespace, observeMs),
    accountNameOf(inspector),
    accountFactsOf(inspector),
    foreignStreams(inspector, namespace),
    otherNamespaces(inspector, namespace),
    lookAtHost(greeting, options),
  ]);
  const secondLook = await lookAgain(inspector, namespace, store, firstLook.status);
  return {
    // A server that is about to leave says so to those it has; it lets nobody new in.
    server: serverFacts(greetingOf(inspector) ?? greeting),
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

async function lookAtHost(greeting: Greeting | undefined, options: GatherOptions): Promise<HostFacts> {
  const { monitoringUrl, local, timeoutMs, space, namespace } = options;
  if (greeting === undefined) return nothingKnown(notKnown("lost", LOST), namespace).host;
  return await gatherHost(greeting, { monitoringUrl, local, timeoutMs, space });
}

const serverFacts = (greeting: Greeting | undefined): Known<Greeting> =>
  greeting === undefined ? notKnown("lost", LOST) : known(greeting);

async function interruptionOf(inspector: Inspector): Promise<DialFacts["interruption"]> {
  const { signal } = inspector;
  const ping = signal.aborted ? null : await inspector.ping();
  if (signal.reason === SILENT || (ping?.known === false && ping.reason === "silent")) return "silent";
  return signal.reason === LOST || (ping?.known === false && ping.reason === "lost") ? "lost" : null;
}
