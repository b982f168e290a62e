/** The checks as functions of facts: what no real server does at will, and where the lines are drawn. */
import { expect, it } from "vitest";
import { judge } from "../../src/doctor/examine.js";
import type { Facts, HostFacts } from "../../src/doctor/facts.js";
import { nothingKnown } from "../../src/doctor/nothing-known.js";
import { known, notKnown, type Unknowable } from "../../src/jetstream/inspector.js";
import type { PeerFacts } from "../../src/jetstream/server-facts.js";
import { DEFAULT_NAMESPACE } from "../../src/protocol/ids.js";
import { codesOf } from "./examined.js";

/** A connection, and nothing that is known behind it for this reason. */
function givenFacts(change: Partial<Facts> = {}, reason: Unknowable = "notAsked"): Facts {
  return {
    namespace: DEFAULT_NAMESPACE,
    ownVersion: "1.0.0",
    startedAt: 1_700_000_000_000,
    dial: { probes: [], connected: { url: "nats://127.0.0.1:4222" }, interruption: null },
    ...nothingKnown(notKnown(reason, "a test says so"), DEFAULT_NAMESPACE),
    ...change,
  };
}

const reasons: readonly Unknowable[] = ["nobody", "silent", "denied", "refused", "unreadable", "lost", "notAsked"];

it.each(reasons)("says what was not checked where the reason is %s", (reason) => {
  const { checks } = judge(givenFacts({}, reason));

  const calledFine = checks.filter(({ check, status }) => check !== "connection" && status === "ok");
  expect(calledFine).toEqual([]);
});

const giveHost = (host: Partial<HostFacts>): Partial<Facts> => ({ host: { ...givenFacts().host, ...host } });

const GIB = 1024 ** 3;
const givenDisk = (freeBytes: number, totalBytes: number) =>
  giveHost({ store: known({ path: "/js", state: "there", freeBytes, totalBytes }) });

it.each<[freeBytes: number, totalBytes: number, codes: readonly string[]]>([
  [2 * GIB, 10 * GIB, []],
  [GIB - 1, 10 * GIB, ["disk/low"]],
  [40 * GIB, 1_000 * GIB, ["disk/low"]],
  [51 * GIB, 1_000 * GIB, []],
  [64 * 1024 ** 2, 10 * GIB, ["disk/low"]],
  [64 * 1024 ** 2 - 1, 10 * GIB, ["disk/full"]],
])("judges %i free bytes of %i", (freeBytes, totalBytes, codes) => {
  expect(codesOf(judge(givenFacts(givenDisk(freeBytes, totalBytes))))).toEqual(codes);
});

const givenServerRoom = (storageBytes: number, storageBytesMax: number) =>
  giveHost({
    monitoring: known({
      url: "http://127.0.0.1:8222",
      health: { isOk: true, said: "ok" },
      stored: { storageBytes, reservedBytes: 0 },
    }),
    storageBytesMax: known(storageBytesMax),
  });

it.each<[used: number, limit: number, codes: readonly string[]]>([
  [79, 100, []],
  [80, 100, ["disk/server-near-limit"]],
  [94, 100, ["disk/server-near-limit"]],
  [95, 100, ["disk/server-full"]],
  [1, 0, []],
  [1, -1, []],
])("judges %i bytes of a limit of %i", (used, limit, codes) => {
  expect(codesOf(judge(givenFacts(givenServerRoom(used, limit)))).filter((code) => code.startsWith("disk/"))).toEqual(
    codes,
  );
});

it("holds what our account stores against the limit of a server that dev started", () => {
  const account = known({
    storageBytes: 97,
    reservedBytes: 0,
    storageBytesMax: -1,
    streams: 6,
    streamsMax: -1,
    consumers: 0,
    consumersMax: -1,
  });

  expect(codesOf(judge(givenFacts({ account, ...giveHost({ storageBytesMax: known(100) }) })))).toEqual([
    "disk/server-full",
  ]);
});

const givenPeers = (...peers: readonly Partial<PeerFacts>[]): Partial<Facts> => ({
  server: known({
    serverId: "S",
    serverName: "s0",
    version: "2.12.0",
    host: "127.0.0.1",
    maxPayloadBytes: 1_048_576,
    takesHeaders: true,
    isLeaving: false,
  }),
  orchestrator: {
    ...givenFacts().orchestrator,
    connections: known({
      peers: peers.map((peer, index) => ({
        name: `s${index}`,
        version: "2.12.0",
        offsetMs: 0,
        uncertaintyMs: 0,
        ...peer,
      })),
      listeners: [],
    }),
  },
});

it.each<[versions: readonly string[], codes: readonly string[]]>([
  [["2.12.0"], []],
  [["2.12.0", "2.12.0"], []],
  [["2.12.0", "2.14.1"], ["server/versions-differ"]],
  [
    ["2.12.0", "2.11.4"],
    ["server/versions-differ", "server/too-old"],
  ],
])("judges a cluster of servers %j", (versions, codes) => {
  const facts = givenFacts(givenPeers(...versions.map((version) => ({ version }))));

  expect(codesOf(judge(facts))).toEqual(codes);
});

it.each<[offsets: readonly number[], uncertaintyMs: number, codes: readonly string[]]>([
  [[1_000], 0, []],
  [[1_001], 0, ["clocks/server"]],
  [[-1_001], 0, ["clocks/server"]],
  [[1_001], 2, []],
  [[60_001], 0, ["clocks/far-off"]],
  [[0, 5_000], 0, ["clocks/server"]],
  [[5_000, 5_500], 0, ["clocks/this-machine"]],
  [[-7_200_000, -7_200_500, -7_200_900], 0, ["clocks/this-machine"]],
  [[1_500, -1_500], 0, ["clocks/server", "clocks/server"]],
])("judges servers whose clocks are off by %j ms, give or take %i", (offsets, uncertaintyMs, codes) => {
  const facts = givenFacts(givenPeers(...offsets.map((offsetMs) => ({ offsetMs, uncertaintyMs }))));

  expect(codesOf(judge(facts)).filter((code) => code.startsWith("clocks/"))).toEqual(codes);
});

it.each<[version: string, codes: readonly string[]]>([
  ["2.12.0", []],
  ["2.12.0-RC.3", []],
  ["3.0.0", []],
  ["2.11.99", ["server/too-old"]],
  ["2.9.0", ["server/too-old"]],
  ["built by hand", []],
])("judges nats-server %s", (version, codes) => {
  const { server } = givenPeers();
  const changed = server?.known === true ? known({ ...server.value, version }) : notKnown("notAsked", "");

  expect(codesOf(judge(givenFacts({ server: changed })))).toEqual(codes);
});
