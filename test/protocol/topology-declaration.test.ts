/** What a declaration may be, and what is said of one that may not. */
import { expect, expectTypeOf, it } from "vitest";
import { defineTopology, type TopologyDeclaration } from "../../src/index.js";
import { covers } from "../../src/protocol/subject-pattern.js";
import type { TopologyProblem } from "../../src/protocol/topology-declaration.js";

const stream = { subjects: ["a.>"], retention: "limits" } as const;
const queue = { subjects: ["a.>"], retention: "workqueue" } as const;

function problemsOf(declaration: unknown, name: unknown = "t"): readonly string[] {
  try {
    defineTopology(name as string, declaration as TopologyDeclaration);
    return [];
  } catch (error) {
    expect(error).toMatchObject({ code: "INVALID_TOPOLOGY", details: { topology: name } });
    const { details, message } = error as { details: { problems: readonly TopologyProblem[] }; message: string };
    const listed = details.problems.map(({ entry, problem }) => `${entry}: ${problem}`);
    for (const problem of listed) expect(message).toContain(problem);
    return listed;
  }
}

it.each<[what: string, declaration: unknown]>([
  ["a stream alone", { streams: { s: stream } }],
  ["a bucket alone", { buckets: { b: {} } }],
  ["the server's advisories", { streams: { s: { ...stream, subjects: ["$JS.EVENT.ADVISORY.>"] } } }],
  [
    "a consumer of everything on each of two work queues",
    { streams: { s: queue, u: { ...queue, subjects: ["b"] } }, consumers: { c: { stream: "s" }, d: { stream: "u" } } },
  ],
  ["names as NATS has them", { streams: { "a!b'c$d": stream, fleet_a_tasks: { ...stream, subjects: ["b"] } } }],
  ["every length of time", { streams: { s: { ...stream, maxAge: "1.5h", duplicateWindow: 100 } } }],
  [
    "a filter wider than the subjects",
    {
      streams: { s: { ...stream, subjects: ["llm.a", "llm.b"] } },
      consumers: { c: { stream: "s", filterSubjects: ["llm.>"] } },
    },
  ],
  ["a filter across subjects", { streams: { s: stream }, consumers: { c: { stream: "s", filterSubjects: ["*.b"] } } }],
  [
    "neighbours on a work queue",
    {
      streams: { s: queue },
      consumers: { c: { stream: "s", filterSubjects: ["a.b.>"] }, d: { stream: "s", filterSubjects: ["a.c.>"] } },
    },
  ],
  [
    "two consumers of everything, where it is kept",
    { streams: { s: stream }, consumers: { c: { stream: "s" }, d: { stream: "s" } } },
  ],
  [
    "as many waits as deliveries",
    { streams: { s: stream }, consumers: { c: { stream: "s", maxDeliver: 2, backoff: ["1s", "2s"] } } },
  ],
  [
    "an ack wait that is the first of the waits",
    { streams: { s: stream }, consumers: { c: { stream: "s", ackWait: 1_000, backoff: ["1s"] } } },
  ],
  [
    "a push consumer in a group",
    { streams: { s: stream }, consumers: { c: { stream: "s", deliverSubject: "d", deliverGroup: "g" } } },
  ],
  [
    "consumers of one name, each on a stream of its own",
    {
      streams: { s: queue, u: { ...queue, subjects: ["b"] } },
      consumers: { c: { stream: "s", durable: "worker" }, worker: { stream: "u" } },
    },
  ],
  ["a setting that is undefined", { streams: { s: { ...stream, maxAge: undefined } } }],
])("takes %s", (_what, declaration) => {
  expect(problemsOf(declaration)).toEqual([]);
});

it.each<[what: string, declaration: unknown, problem: RegExp]>([
  ["nothing", {}, /^topology: declares nothing$/],
  ["what is no declaration", 5, /^topology: Invalid input/],
  ["an unknown part", { stream: {} }, /^topology: Unrecognized key: "stream"/],
  ["a dot in a stream's name", { streams: { "a.b": stream } }, /^stream a\.b: must be named with/],
  ["a blank in a stream's name", { streams: { "a b": stream } }, /^stream a b: must be named with/],
  ["no name", { streams: { "": stream } }, /^stream "": must be named with/],
  [
    "two consumers of one name on one stream",
    { streams: { s: stream }, consumers: { c: { stream: "s", durable: "d" }, d: { stream: "s" } } },
    /^consumer d: is d of stream s, which consumer c is already$/,
  ],
  [
    "a dot in a durable name that differs from the key",
    { streams: { s: stream }, consumers: { c: { stream: "s", durable: "a.b" } } },
    /^consumer c: durable: must be named/,
  ],
  [
    "a slash in a durable name",
    { streams: { s: stream }, consumers: { "a/b": { stream: "s" } } },
    /^consumer a\/b: must be named/,
  ],
  ["a name that is too long", { streams: { ["s".repeat(256)]: stream } }, /must be named with 1 to 255/],
  ["a dot in a bucket's name", { buckets: { "a.b": {} } }, /^bucket a\.b: must be named with/],
  ["no subject", { streams: { s: { ...stream, subjects: [] } } }, /^stream s: subjects: must name a subject/],
  ["no retention", { streams: { s: { subjects: ["a"] } } }, /^stream s: retention: /],
  ["an unknown retention", { streams: { s: { ...stream, retention: "forever" } } }, /^stream s: retention: /],
  ["a misspelt setting", { streams: { s: { ...stream, maxBites: 5 } } }, /^stream s: Unrecognized key: "maxBites"/],
  ["an empty token", { streams: { s: { ...stream, subjects: ["a..b"] } } }, /subject "a\.\.b" has an empty token/],
  ["> in the middle", { streams: { s: { ...stream, subjects: ["a.>.b"] } } }, /has > before its end/],
  ["a wildcard in a token", { streams: { s: { ...stream, subjects: ["a.b*"] } } }, /has a wildcard inside a token/],
  [
    "a blank in a subject",
    { streams: { s: { ...stream, subjects: ["a b"] } } },
    /holds a blank or a control character/,
  ],
  [
    "the server's subjects",
    { streams: { s: { ...stream, subjects: ["$JS.API.x"] } } },
    /the server's own subjects too/,
  ],
  [
    "the server's subjects behind a wildcard",
    { streams: { s: { ...stream, subjects: ["*.b"] } } },
    /the server's own subjects too/,
  ],
  ["every subject", { streams: { s: { ...stream, subjects: [">"] } } }, /the server's own subjects too/],
  [
    "streams that share a subject",
    { streams: { s: stream, u: { ...stream, subjects: ["a.*"] } } },
    /^stream u: subject "a\.\*" overlaps "a\.>" of stream s/,
  ],
  [
    "a subject twice",
    { streams: { s: { ...stream, subjects: ["a.>", "a.b"] } } },
    /overlaps "a\.>" of the same stream/,
  ],
  ["two replicas", { streams: { s: { ...stream, replicas: 2 } } }, /^stream s: replicas: must be 1, 3 or 5/],
  ["seven replicas", { buckets: { b: { replicas: 7 } } }, /^bucket b: replicas: must be 1, 3 or 5/],
  [
    "no age at all",
    { streams: { s: { ...stream, maxAge: 0 } } },
    /^stream s: maxAge: must be a length of time above 0/,
  ],
  ["an age without a unit", { streams: { s: { ...stream, maxAge: "7" } } }, /maxAge: must be a length of time/],
  ["a part of a millisecond", { streams: { s: { ...stream, maxAge: 100.5 } } }, /maxAge: must be a length of time/],
  [
    "an age the server has no eye for",
    { streams: { s: { ...stream, maxAge: "50ms" } } },
    /maxAge: must be 100ms at least/,
  ],
  [
    "ids remembered longer than messages",
    { streams: { s: { ...stream, maxAge: "1h", duplicateWindow: "2h" } } },
    /duplicateWindow 2h is longer than maxAge 1h/,
  ],
  [
    "a message of any size",
    { streams: { s: { ...stream, maxMessageBytes: 2 ** 31 } } },
    /^stream s: maxMessageBytes: /,
  ],
  ["a description of nothing", { streams: { s: { ...stream, description: "" } } }, /^stream s: description: /],
  ["no bytes", { streams: { s: { ...stream, maxBytes: 0 } } }, /^stream s: maxBytes: /],
  [
    "a consumer of no declared stream",
    { streams: { s: stream }, consumers: { c: { stream: "x" } } },
    /^consumer c: stream "x" is not declared; this topology declares s$/,
  ],
  [
    "a filter beside the stream",
    { streams: { s: stream }, consumers: { c: { stream: "s", filterSubjects: ["b.>"] } } },
    /filter "b\.>" is outside of stream s, which has a\.>/,
  ],
  [
    "a filter that is no subject",
    { streams: { s: stream }, consumers: { c: { stream: "s", filterSubjects: ["a."] } } },
    /filter "a\." has an empty token/,
  ],
  [
    "no filter in the list",
    { streams: { s: stream }, consumers: { c: { stream: "s", filterSubjects: [] } } },
    /filterSubjects: must name a subject/,
  ],
  [
    "filters that overlap",
    { streams: { s: stream }, consumers: { c: { stream: "s", filterSubjects: ["a.>", "a.b"] } } },
    /filters "a\.>" and "a\.b" overlap/,
  ],
  [
    "a shared message of a work queue",
    {
      streams: { s: queue },
      consumers: { c: { stream: "s", filterSubjects: ["a.b.>"] }, d: { stream: "s", filterSubjects: ["a.*.c"] } },
    },
    /^consumer d: takes messages on "a\.\*\.c" that consumer c takes too/,
  ],
  [
    "two consumers of all of a work queue",
    { streams: { s: queue }, consumers: { c: { stream: "s" }, d: { stream: "s" } } },
    /^consumer d: takes messages on ">"/,
  ],
  [
    "a work queue without single acks",
    { streams: { s: queue }, consumers: { c: { stream: "s", ackPolicy: "all" } } },
    /ackPolicy must be explicit on the work queue s/,
  ],
  [
    "a work queue from now on",
    { streams: { s: queue }, consumers: { c: { stream: "s", deliverPolicy: "new" } } },
    /deliverPolicy must be all on the work queue s/,
  ],
  [
    "more waits than deliveries",
    { streams: { s: stream }, consumers: { c: { stream: "s", maxDeliver: 1, backoff: ["1s", "2s"] } } },
    /backoff has 2 waits for 1 deliveries/,
  ],
  [
    "an ack wait that backoff overrules",
    { streams: { s: stream }, consumers: { c: { stream: "s", ackWait: "30s", backoff: ["1s"] } } },
    /ackWait 30s is not used beside backoff/,
  ],
  [
    "a group that nobody pushes to",
    { streams: { s: stream }, consumers: { c: { stream: "s", deliverGroup: "g" } } },
    /deliverGroup is for push consumers/,
  ],
  [
    "a push to everywhere",
    { streams: { s: stream }, consumers: { c: { stream: "s", deliverSubject: "d.*" } } },
    /deliverSubject "d\.\*" has a wildcard/,
  ],
  [
    "batches of a push",
    { streams: { s: stream }, consumers: { c: { stream: "s", deliverSubject: "d", maxBatch: 5 } } },
    /maxBatch is for pull consumers/,
  ],
  [
    "waits for no acks",
    { streams: { s: stream }, consumers: { c: { stream: "s", ackPolicy: "none", ackWait: "1s" } } },
    /ackWait means nothing with ackPolicy none/,
  ],
  [
    "no delivery",
    { streams: { s: stream }, consumers: { c: { stream: "s", maxDeliver: 0 } } },
    /^consumer c: maxDeliver: /,
  ],
  ["more history than there is", { buckets: { b: { history: 65 } } }, /^bucket b: history: /],
  [
    "a bucket whose stream is declared too",
    { streams: { KV_b: stream }, buckets: { b: {} } },
    /^bucket b: lies in the stream KV_b/,
  ],
])("refuses %s", (_what, declaration, problem) => {
  expect(problemsOf(declaration)).toEqual([expect.stringMatching(problem)]);
});

it("refuses a topology without a name", () => {
  expect(problemsOf({ streams: { s: stream } }, "")).toEqual(["topology: needs a name"]);
});

it("names everything that is wrong at once", () => {
  const problems = problemsOf({
    streams: { "a.b": stream, s: { ...stream, subjects: ["b.>"], replicas: 2 }, u: { ...stream, maxAge: "soon" } },
    consumers: { c: { stream: "s", maxDeliver: -1 }, d: { stream: "nowhere", deliverGroup: "g" } },
    buckets: { "b b": { ttl: 0 } },
  });

  expect(problems).toEqual([
    expect.stringMatching(/^stream a\.b: must be named/),
    expect.stringMatching(/^stream s: replicas/),
    expect.stringMatching(/^stream u: maxAge/),
    expect.stringMatching(/^consumer c: maxDeliver/),
    expect.stringMatching(/^bucket b b: must be named/),
    expect.stringMatching(/^bucket b b: ttl/),
    expect.stringMatching(/^consumer d: stream "nowhere" is not declared; this topology declares a\.b, s, u$/),
    expect.stringMatching(/^consumer d: deliverGroup/),
  ]);
});

it.each<[wide: string, narrow: string, expected: boolean]>([
  ["a.b", "a.b", true],
  ["a.>", "a.b.c", true],
  ["a.>", "a.>", true],
  ["a.*", "a.b", true],
  ["a.*", "a.>", false],
  ["a.*", "a.*", true],
  ["a.b", "a.*", false],
  ["a.>", "a", false],
  ["a.b", "a.b.c", false],
  [">", "*.b", true],
])("knows whether %s covers %s: %s", (wide, narrow, expected) => {
  expect(covers(wide, narrow)).toBe(expected);
});

it("keeps the names that were written in its type", () => {
  const knights = defineTopology("knights", {
    streams: { fleet_a_tasks: queue },
    consumers: { "galahad-consumer": { stream: "fleet_a_tasks" } },
  });
  expectTypeOf<keyof typeof knights.streams>().toEqualTypeOf<"fleet_a_tasks">();
  expectTypeOf<keyof typeof knights.consumers>().toEqualTypeOf<"galahad-consumer">();
  expectTypeOf(knights.consumers["galahad-consumer"].stream).toEqualTypeOf<"fleet_a_tasks">();
  // @ts-expect-error: no such bucket
  expect(knights.buckets["none"]).toBeUndefined();

  const wrong = () => [
    // @ts-expect-error: a stream that is not declared
    defineTopology("wrong", { streams: { s: stream }, consumers: { c: { stream: "t" } } }),
    // @ts-expect-error: no such setting
    defineTopology("wrong", { streams: { s: { ...stream, maxBites: 1 } } }),
    // @ts-expect-error: no length of time
    defineTopology("wrong", { streams: { s: { ...stream, maxAge: "soon" } } }),
    // @ts-expect-error: no such retention
    defineTopology("wrong", { streams: { s: { subjects: ["a"], retention: "forever" } } }),
  ];
  expect(wrong).toThrow("is not declared");
});
