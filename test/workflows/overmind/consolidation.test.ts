/** From an event of an old producer to a consolidated memory, on a real engine; and what becomes of events that nobody can handle. */
import { beforeAll, describe, expect, it } from "vitest";
import { replay } from "../../../src/testing/replay.js";
import { consolidation } from "../../../workflows/overmind/consolidation.js";
import type { MemoryRecord } from "../../../workflows/overmind/consolidation-rules.js";
import { MemoryStore } from "../../../workflows/overmind/memory-store.js";
import type { ConsolidatedEvent } from "../../../workflows/overmind/messages.js";
import { producersOn } from "../../../workflows/overmind/producers.js";
import { untilHolds, untilSome } from "../../support/until.js";
import { givenConsolidated, givenDecision } from "./given.js";
import { usePlatform } from "./platform.js";

const platform = usePlatform();

beforeAll(async () => {
  await platform.start("consolidation");
});

/** As an old producer would: no message id, no header. */
const publishRaw = (event: Partial<ConsolidatedEvent>): Promise<number> =>
  platform.old.publish("memory.consolidated", givenConsolidated(event));

const memory = async (memoryId: string): Promise<MemoryRecord | undefined> =>
  (await new MemoryStore(platform.bucket).read(memoryId)).value;

const untilMemory = (memoryId: string): Promise<MemoryRecord> =>
  untilSome(`memory ${memoryId} is consolidated`, () => memory(memoryId));

const untilNothingLags = (): Promise<unknown> =>
  untilHolds(
    "every event is acknowledged",
    () => platform.fleet.lag("memory-events", "consolidation-consumer"),
    ({ pending, ackPending }) => pending === 0 && ackPending === 0,
  );

const deadLettersAbout = async (text: string) =>
  (await platform.fleet.deadLetters.list()).filter(({ data }) => data.includes(text));

it("makes one run of each event, and acknowledges the event when the run has ended", async () => {
  await publishRaw({ eventId: "once", memoryId: "m-once", accessCount: 4 });
  const run = platform.client.workflow("consolidate-once");
  const output = await untilSome("the run ends", () => run.result().catch(() => null));
  await untilNothingLags();

  expect(output).toMatchObject({
    outcome: "promoted",
    memory: { memoryId: "m-once", tier: "working", accessCount: 4 },
  });
  expect(await memory("m-once")).toEqual((output as { memory: unknown }).memory);
  const parts = { store: new MemoryStore(platform.bucket), announce: async () => undefined };
  const history = await run.history();
  expect(await replay({ workflows: [consolidation(parts)], history })).toEqual({ ok: true });
});

it("consolidates an event once that an old producer publishes twice", async () => {
  const event = { eventId: "twice", memoryId: "m-twice", accessCount: 1 };
  await publishRaw(event);
  await publishRaw(event);
  await untilNothingLags();

  expect(await untilMemory("m-twice")).toMatchObject({ events: ["twice"], accessCount: 1 });
  const { tasks } = await platform.client.list({ type: "workflow:consolidate-memory", limit: 1_000 });
  expect(tasks.filter(({ taskId }) => taskId.includes("twice"))).toHaveLength(1);
});

it("keeps every event of a memory of which many come at once", async () => {
  const ids = Array.from({ length: 20 }, (_, index) => `many-${index}`);
  await Promise.all(ids.map((eventId, index) => publishRaw({ eventId, memoryId: "m-many", accessCount: index })));

  const record = await untilHolds(
    "all are in",
    () => memory("m-many"),
    (found) => found?.events.length === 20,
  );
  expect(record?.events.toSorted()).toEqual(ids.toSorted());
  expect(record).toMatchObject({ accessCount: 19 });
});

it("takes any text for an id", async () => {
  const strange = `memory of * > \u{1f9e0}/.. ${"long ".repeat(100)}`;
  await publishRaw({ eventId: "event with blanks.", memoryId: strange });

  expect(await untilMemory(strange)).toMatchObject({ memoryId: strange, events: ["event with blanks."] });
  await publishRaw({ eventId: "of any text", memoryId: "m-any", metadata: { mergedFrom: [strange] } });
  expect(await untilMemory("m-any")).toMatchObject({ mergedFrom: [expect.stringMatching(/^sha256:/)] });
});

it("takes an event with more metadata than a run may be given", async () => {
  await publishRaw({ eventId: "wordy", memoryId: "m-wordy", metadata: { content: "word ".repeat(100_000) } });

  expect(await untilMemory("m-wordy")).toMatchObject({ events: ["wordy"] });
});

it("takes ids that are longer than a subject may be, and does not grow with them", async () => {
  const [memoryId, eventId] = ["long memory ".repeat(500), "e".repeat(6_000)];
  await publishRaw({ eventId, memoryId, accessCount: 1 });

  expect(await untilMemory(memoryId)).toMatchObject({ memoryId, accessCount: 1 });
  expect((await memory(memoryId))?.events.join("").length).toBeLessThan(100);
  await publishRaw({ eventId, memoryId, accessCount: 7 });
  await untilNothingLags();
  expect(await memory(memoryId)).toMatchObject({ accessCount: 1 });
});

it("tells the platform of a memory that expired, once", async () => {
  const told = platform.old.nats.subscribe("memory.expired");
  await publishRaw({ eventId: "worthless", memoryId: "m-worthless", importance: 0.01 });
  const message = await told.first("the expiry");
  await untilNothingLags();
  told.unsubscribe();

  expect(JSON.parse(message.data.toString())).toEqual({
    eventId: "worthless-expired",
    timestamp: givenConsolidated().timestamp,
    memoryId: "m-worthless",
    eventType: "expired",
    tier: "short-term",
    importance: 0.01,
    accessCount: 0,
  });
  expect(told.received).toHaveLength(1);
});

it("counts a memory once that several events merge, long after it was remembered in a list", async () => {
  await publishRaw({ eventId: "c-part", memoryId: "m-c-part", accessCount: 5 });
  await untilMemory("m-c-part");
  for (const eventId of ["c-1", "c-2"]) {
    await publishRaw({ eventId, memoryId: "m-c-whole", metadata: { mergedFrom: ["m-c-part"] } });
    await untilHolds(
      "the event is in",
      () => memory("m-c-whole"),
      (found) => found?.events.includes(eventId) === true && found.unsettled.length === 0,
    );
  }
  await untilNothingLags();

  expect(await memory("m-c-part")).toMatchObject({ state: "merged", settled: true });
  expect(await memory("m-c-whole")).toMatchObject({ accessCount: 5, unsettled: [], mergedFrom: ["m-c-part"] });
});

it("loses neither of two memories of which each is told to take in the other", async () => {
  for (const name of ["one", "two"]) {
    await publishRaw({ eventId: `d-${name}`, memoryId: `m-d-${name}`, accessCount: 2 });
    await untilMemory(`m-d-${name}`);
  }
  await untilNothingLags();
  await publishRaw({ eventId: "d-3", memoryId: "m-d-one", metadata: { mergedFrom: ["m-d-two"] } });
  await untilNothingLags();
  await publishRaw({ eventId: "d-4", memoryId: "m-d-two", metadata: { mergedFrom: ["m-d-one"] } });
  await untilNothingLags();

  expect(await memory("m-d-one")).toMatchObject({ state: "live", accessCount: 4, mergedFrom: ["m-d-two"] });
  expect(await memory("m-d-two")).toMatchObject({ state: "merged", mergedInto: "m-d-one" });
});

it("goes on with a memory whose record somebody has deleted by hand", async () => {
  await publishRaw({ eventId: "before", memoryId: "m-deleted", accessCount: 2 });
  await untilMemory("m-deleted");
  await untilNothingLags();
  // As `nats kv del` does.
  await platform.old.publish("$KV.mcp_overmind.memory.i-m-deleted", "", { "KV-Operation": "DEL" });
  await publishRaw({ eventId: "after", memoryId: "m-deleted", accessCount: 1 });

  expect(await untilMemory("m-deleted")).toMatchObject({ events: ["after"], accessCount: 1 });
});

describe("poison", () => {
  it("is kept with its reason when it cannot be read, before it is ended", async () => {
    const sequence = await platform.old.publish("memory.consolidated", "{not json: unreadable");
    await untilNothingLags();

    expect(await deadLettersAbout("unreadable")).toMatchObject([
      {
        reason: "undecodable",
        attempts: 1,
        stream: "memory-events",
        consumer: "consolidation-consumer",
        subject: "memory.consolidated",
        sequence,
        data: "{not json: unreadable",
      },
    ]);
  });

  it("says which field is wrong", async () => {
    await publishRaw({ eventId: "wrong-tier", tier: "longterm" as "long-term" });
    await untilNothingLags();

    expect(await deadLettersAbout("wrong-tier")).toMatchObject([
      { reason: "undecodable", message: expect.stringContaining("tier") },
    ]);
  });

  it("is another kind of event on this subject", async () => {
    await platform.old.publish("memory.consolidated", {
      ...givenConsolidated(),
      eventId: "misled",
      eventType: "added",
    });
    await untilNothingLags();

    expect(await deadLettersAbout("misled")).toHaveLength(1);
  });

  it("is what meets a record that somebody has written over, until that is put right", async () => {
    const key = "$KV.mcp_overmind.memory.i-m-damaged";
    await platform.old.publish(key, "nonsense");
    await publishRaw({ eventId: "damaged", memoryId: "m-damaged" });
    await untilNothingLags();
    const [letter] = await deadLettersAbout('"damaged"');
    await platform.old.publish(key, "", { "KV-Operation": "PURGE" });
    await platform.fleet.deadLetters.replay(letter?.id ?? 0);

    expect(letter).toMatchObject({ reason: "failed", message: expect.stringContaining("memory.i-m-damaged") });
    expect(await untilMemory("m-damaged")).toMatchObject({ events: ["damaged"] });
  });

  it("merges what is no list of memories", async () => {
    await publishRaw({ eventId: "listless", memoryId: "m-listless", metadata: { mergedFrom: "m-1" } });
    await untilNothingLags();

    expect(await platform.client.get("consolidate-listless")).toMatchObject({ error: { type: "EVENT_INVALID" } });
    expect(await deadLettersAbout("listless")).toHaveLength(1);
  });

  it("fails its run, is shown in the status, and is consolidated when it is replayed after what was wrong is mended", async () => {
    await publishRaw({ eventId: "merge", memoryId: "m-whole", metadata: { mergedFrom: ["m-part"] } });
    await untilNothingLags();
    const [letter] = await deadLettersAbout('"merge"');
    const failed = await platform.client.get("consolidate-merge");
    const counted = await platform.client.status();

    expect(failed).toMatchObject({ state: "failed", error: { type: "MEMORY_UNKNOWN" } });
    expect(letter).toMatchObject({ reason: "failed", attempts: 1, message: expect.stringContaining("m-part") });
    expect(JSON.stringify(counted)).toMatch(/dead ?letter/i);
    expect(await memory("m-whole")).toBeUndefined();

    await publishRaw({ eventId: "part", memoryId: "m-part", accessCount: 2 });
    await untilMemory("m-part");
    await platform.fleet.deadLetters.replay(letter?.id ?? 0);

    expect(await untilMemory("m-whole")).toMatchObject({ accessCount: 2, mergedFrom: ["m-part"] });
    expect(await memory("m-part")).toMatchObject({ state: "merged", mergedInto: "m-whole" });
    expect(await deadLettersAbout('"merge"')).toEqual([]);
  });
});

describe("our producer", () => {
  it("publishes an event once, however often it is told", async () => {
    const producers = producersOn(platform.fleet);
    const event = { ...givenConsolidated({ eventId: "ours", memoryId: "m-ours" }), eventType: "added" } as const;
    const told = platform.old.nats.subscribe("memory.added");

    const first = await producers.remembered(event);
    const second = await producers.remembered(event);
    const [message] = [await told.first("the event")];
    told.unsubscribe();

    expect([first.isDuplicate, second.isDuplicate, second.sequence]).toEqual([false, true, first.sequence]);
    expect(JSON.parse(message.data.toString())).toEqual(event);
    expect(message.headers.get("Nats-Msg-Id")).toBe("memory.added:ours");
  });

  it("is heard by an old consumer, which takes its turns at a durable consumer with ours", async () => {
    await producersOn(platform.fleet).decided("fallback", givenDecision());
    const { subject, body, ack } = await platform.old.pull("routing-decisions", "api-consumer");
    ack();

    expect({ subject, body }).toEqual({ subject: "routing.fallback.triggered", body: givenDecision() });
    await untilHolds(
      "it is acknowledged",
      () => platform.fleet.lag("routing-decisions", "api-consumer"),
      ({ pending, ackPending }) => pending === 0 && ackPending === 0,
    );
  });

  it("publishes any id", async () => {
    const ids = ["line\nbreak", "line break", " blank", "blank", "e".repeat(70_000), "f".repeat(70_000)];
    const told = ids.map((eventId) => ({ ...givenConsolidated({ eventId }), eventType: "added" as const }));
    const producers = producersOn(platform.fleet);

    const first = await Promise.all(told.map((event) => producers.remembered(event)));
    const second = await Promise.all(told.map((event) => producers.remembered(event)));

    expect(first.map(({ isDuplicate }) => isDuplicate)).toEqual(ids.map(() => false));
    expect(second.map(({ isDuplicate }) => isDuplicate)).toEqual(ids.map(() => true));
  });

  const endless: Record<string, unknown> = {};
  endless["again"] = endless;
  it.each<[what: string, event: object, code: string]>([
    ["has no such tier", { tier: "forever" }, "INVALID_MESSAGE"],
    ["holds itself", { metadata: endless }, "INVALID_MESSAGE"],
    ["holds what JSON has no number for", { metadata: { size: 1n } }, "INVALID_MESSAGE"],
    ["is larger than the server takes", { metadata: { text: "t".repeat(2 ** 20) } }, "PAYLOAD_TOO_LARGE"],
  ])("publishes nothing that %s", async (_what, event, code) => {
    const told = platform.old.nats.subscribe("memory.>");
    await platform.old.nats.flush();
    const wrong = { ...givenConsolidated({ eventId: "refused" }), ...event };

    await expect(producersOn(platform.fleet).remembered(wrong)).rejects.toMatchObject({ code });
    await platform.fleet.flush();
    await platform.old.nats.flush();
    told.unsubscribe();
    expect(told.received.filter(({ data }) => data.includes('"refused"'))).toEqual([]);
  });
});
