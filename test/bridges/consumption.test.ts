/** What members consume, on a real server: each message is answered by its rule, and none is lost silently. */
import { afterEach, expect, it } from "vitest";
import { z } from "zod";
import { type ConsumeOptions, connectFleet, type Fleet, GivenUpError } from "../../src/bridges/index.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { messageAt } from "../../src/jetstream/stream-access.js";
import { silentLogger } from "../../src/logger.js";
import { useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";

const nats = useNats();
const fleets: Fleet[] = [];

afterEach(async () => {
  await Promise.all(fleets.splice(0).map((fleet) => fleet.close()));
});

const Job = z.object({ job: z.string() });
let count = 0;

/** A stream of jobs with one consumer, in names of its own for each test. */
async function givenFleet({ maxDeliver = 3, ackWait = "2s", push = false } = {}) {
  count += 1;
  const [stream, namespace] = [`JOBS_${count}`, `ns${count}`];
  const topology = defineTopology(`jobs ${count}`, {
    streams: { [stream]: { subjects: [`jobs${count}.>`], retention: "workqueue" } },
    consumers: {
      workers: {
        stream,
        maxDeliver,
        ackWait: ackWait as "2s",
        ...(push ? { deliverSubject: `deliver.jobs${count}`, deliverGroup: "workers" } : {}),
      },
    },
  });
  const member = async (): Promise<Fleet> => {
    const fleet = await connectFleet({ servers: nats.url, name: "test", namespace, topology, logger: silentLogger });
    fleets.push(fleet);
    return fleet;
  };
  const fleet = await member();
  const subject = `jobs${count}.one`;
  const consuming = (options: Partial<ConsumeOptions<z.infer<typeof Job>>>, by = fleet) =>
    by.consume({ stream, consumer: "workers", schema: Job, ack: "onHandled", handle: () => undefined, ...options });
  const lettersAre = (holds: (reasons: readonly string[]) => boolean) =>
    untilHolds("the dead letters are", async () => (await fleet.deadLetters.list()).map(({ reason }) => reason), holds);
  const streamIsEmpty = () =>
    until("nothing is left in the stream", async () => (await fleet.streamState(stream)).messages === 0);
  return { fleet, member, stream, subject, consuming, lettersAre, streamIsEmpty };
}

it("acknowledges a message when it was handled, and not before", async () => {
  const { fleet, stream, subject, consuming, streamIsEmpty } = await givenFleet();
  let release: () => void = () => undefined;
  const seen: string[] = [];
  await consuming({
    handle: async ({ body }) => {
      seen.push(body.job);
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    },
  });
  await fleet.publish(subject, { job: "a" });
  await until("it is in hand", () => seen.length === 1);
  expect(await fleet.lag(stream, "workers")).toMatchObject({ ackPending: 1 });
  release();
  await streamIsEmpty();
  expect(seen).toEqual(["a"]);
});

it("acknowledges a message on receipt before it is handled", async () => {
  const { fleet, stream, subject, consuming } = await givenFleet();
  const left: number[] = [];
  await consuming({
    ack: "onReceipt",
    handle: async () => {
      left.push((await fleet.streamState(stream)).messages);
    },
  });
  await fleet.publish(subject, { job: "a" });
  await until("it was handled", () => left.length === 1);
  expect(left).toEqual([0]);
});

it("keeps what takes longer than the wait for an acknowledgement", async () => {
  const { fleet, subject, consuming, streamIsEmpty } = await givenFleet({ ackWait: "300ms", maxDeliver: 1 });
  const deliveries: (number | undefined)[] = [];
  let release: () => void = () => undefined;
  const later = new Promise<void>((resolve) => {
    release = resolve;
  });
  await consuming({
    handle: async ({ stored }) => {
      deliveries.push(stored?.deliveryCount);
      await later;
    },
  });
  await fleet.publish(subject, { job: "slow" });
  const startedAt = performance.now();
  await until("three waits are over", () => performance.now() - startedAt > 1_000);
  release();
  await streamIsEmpty();
  expect(deliveries).toEqual([1]);
  expect(await fleet.deadLetters.count()).toBe(0);
});

it("gives what failed each time to the dead letters, with the last reason and the number of tries", async () => {
  const { fleet, stream, subject, consuming, streamIsEmpty } = await givenFleet({ maxDeliver: 2 });
  let tries = 0;
  await consuming({
    handle: () => {
      tries += 1;
      throw new Error(`no disk, try ${tries}`);
    },
  });
  await fleet.publish(subject, { job: "a" }, { headers: { traceparent: "x" } });
  await streamIsEmpty();
  expect(await fleet.deadLetters.list()).toMatchObject([
    {
      reason: "failed",
      message: "no disk, try 2",
      attempts: 2,
      stream,
      consumer: "workers",
      sequence: 1,
      subject,
      headers: { traceparent: "x" },
      data: '{"job":"a"}',
    },
  ]);
  expect(tries).toBe(2);
});

it.each([
  ["is not JSON", "{"],
  ["does not fit its schema", JSON.stringify({ job: 7 })],
])("gives a message that %s to the dead letters at once", async (why, text) => {
  const { fleet, subject, consuming, streamIsEmpty } = await givenFleet();
  await consuming({});
  const connection = await nats.connect();
  await connection.request(subject, text, { timeoutMs: 5_000 });
  await streamIsEmpty();
  const letters = await fleet.deadLetters.list();
  expect(letters).toMatchObject([{ reason: "undecodable", attempts: 1, data: text }]);
  expect(letters[0]?.message).toContain(why);
});

it.each([
  ["is as large as the server takes", 1_048_576, 7],
  ["is all escapes as JSON", 900_000, 0],
  ["is no text", 900_000, 0xff],
])("keeps a message whole that %s, and gives it out again", async (_what, size, byte) => {
  const { fleet, stream, subject, consuming, lettersAre, streamIsEmpty } = await givenFleet();
  const consumption = await consuming({});
  const connection = await nats.connect();
  await connection.request(subject, Buffer.alloc(size, byte), { timeoutMs: 5_000 });
  await lettersAre((reasons) => reasons.join() === "undecodable");
  await streamIsEmpty();
  const [listed] = await fleet.deadLetters.list();
  const letter = await fleet.deadLetters.get(listed?.id ?? 0);
  const parts = `NS${count}_DEAD_LETTER_PARTS`;

  expect(listed).toMatchObject({ stream, subject, attempts: 1, data: "", parts: { count: expect.any(Number) } });
  const bytes = Buffer.from(letter.data, letter.encoding === "text" ? "utf8" : "base64");
  expect(bytes.equals(Buffer.alloc(size, byte))).toBe(true);
  expect((await fleet.streamState(parts)).messages).toBe(listed?.parts?.count);
  await consumption.stop();
  // The largest has no room for a further header.
  expect(await fleet.deadLetters.replay(letter.id)).toMatchObject({ isMarked: size < 1_000_000 });
  expect((await fleet.streamState(stream)).bytes).toBeGreaterThan(size);
  expect((await fleet.streamState(parts)).messages).toBe(0);
});

it.each([
  ["is kept in the letter", "{"],
  ["is too large for it", "{".repeat(1_048_000)],
])("keeps every value of a header that came several times, and replays them, of a message that %s", async (_, text) => {
  const { fleet, stream, subject, consuming, lettersAre } = await givenFleet();
  const consumption = await consuming({});
  const connection = await nats.connect();
  const headers = { Via: ["one", "two", "three"], Single: "yes", "nats-expected-stream": [stream, stream] };
  await connection.request(subject, text, { timeoutMs: 5_000, headers });
  await lettersAre((reasons) => reasons.length === 1);
  await consumption.stop();
  const letter = await fleet.deadLetters.get((await fleet.deadLetters.list())[0]?.id ?? 0);
  expect(letter).toMatchObject({
    headers: { Via: "one", Single: "yes" },
    repeatedHeaders: { Via: ["one", "two", "three"] },
  });
  await fleet.deadLetters.replay(letter.id);
  const replayed = await messageAt(connection, stream, 2);
  expect(replayed?.headers).toMatchObject({ Single: "yes", "Perdure-Replay": "1" });
  expect(replayed?.repeatedHeaders).toEqual({ Via: ["one", "two", "three"] });
});

it("lists what lies among the dead letters and is none, shows and drops it, and replays all but that", async () => {
  const { fleet, stream, subject, consuming, lettersAre } = await givenFleet();
  const consumption = await consuming({});
  const connection = await nats.connect();
  // Where the first message's letter has to lie, and where none ever does.
  const foreign = [`ns${count}.deadletter.${stream}.workers.1`, `ns${count}.deadletter.odd`];
  const [taken = "", odd = ""] = foreign;
  await connection.request(taken, Buffer.from([0xff, 0]), { timeoutMs: 5_000, headers: { By: "hand" } });
  await connection.request(odd, '{"reason":"dislike"}', { timeoutMs: 5_000 });
  await connection.request(subject, "{", { timeoutMs: 5_000 });
  await lettersAre((reasons) => reasons.length === 3);
  await consumption.stop();

  expect(await fleet.deadLetters.list()).toMatchObject([
    { id: 1, reason: "unreadable", subject: taken, headers: { By: "hand" }, encoding: "base64", data: "/wA=" },
    { id: 2, reason: "unreadable", subject: odd, data: '{"reason":"dislike"}' },
    { id: 3, reason: "undecodable", subject, data: "{" },
  ]);
  expect(await fleet.deadLetters.list({ stream })).toHaveLength(2);
  expect(await fleet.deadLetters.get(2)).toMatchObject({ reason: "unreadable", message: expect.any(String) });
  await expect(fleet.deadLetters.replay(1)).rejects.toMatchObject({ code: "STORE_DAMAGED" });
  await fleet.deadLetters.replay(3);
  await fleet.deadLetters.drop(1);
  await fleet.deadLetters.drop(2);
  expect(await fleet.deadLetters.count()).toBe(0);
});

it("says so of a large dead letter whose bytes somebody has deleted, and drops it", async () => {
  const { fleet, subject, consuming, lettersAre } = await givenFleet();
  await consuming({});
  const connection = await nats.connect();
  await connection.request(subject, Buffer.alloc(1_000_000, 7), { timeoutMs: 5_000 });
  await lettersAre((reasons) => reasons.length === 1);
  await fleet.purge(`NS${count}_DEAD_LETTER_PARTS`);
  const id = (await fleet.deadLetters.list())[0]?.id ?? 0;

  await expect(fleet.deadLetters.replay(id)).rejects.toMatchObject({ code: "STORE_DAMAGED" });
  await fleet.deadLetters.drop(id);
  expect(await fleet.deadLetters.count()).toBe(0);
});

it("gives what its handler gives up to the dead letters at once", async () => {
  const { fleet, subject, consuming, lettersAre } = await givenFleet();
  await consuming({
    handle: () => {
      throw new GivenUpError("never");
    },
  });
  await fleet.publish(subject, { job: "a" });
  await lettersAre((reasons) => reasons.join() === "failed");
});

it("finds what nobody acknowledged as often as it was delivered, also when nobody listened then", async () => {
  const { fleet, member, stream, subject, consuming, lettersAre, streamIsEmpty } = await givenFleet({
    ackWait: "200ms",
    maxDeliver: 2,
  });
  // Whoever consumes makes the stream of advisories; then it is gone.
  const gone = await member();
  await consuming({}, gone);
  await gone.close();
  await fleet.publish(subject, { job: "fatal" });
  const other = await nats.connect();
  const inbox = other.newInbox();
  const received: number[] = [];
  other.subscribe(inbox, ({ data }) => void received.push(data.byteLength));
  // The third is in vain: the server gives the message up when it would deliver it once more.
  other.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.workers`, JSON.stringify({ batch: 3, expires: 5e9 }), {
    reply: inbox,
  });
  const advisories = `PERDURE_EXHAUSTED_${stream}`;
  await until("the server has said so", async () => (await fleet.streamState(advisories)).lastSequence === 1);
  expect(received.length).toBe(2);
  await consuming({}, await member());
  await lettersAre((reasons) => reasons.join() === "exhausted");
  await streamIsEmpty();
});

it("replays a dead letter as it was, and drops another", async () => {
  const { fleet, subject, consuming, lettersAre, streamIsEmpty } = await givenFleet();
  let isMended = false;
  const handled: unknown[] = [];
  await consuming({
    handle: (message) => {
      if (!isMended) throw new GivenUpError("broken");
      handled.push([message.body.job, message.replay, message.header("Kept")]);
    },
  });
  await fleet.publish(subject, { job: "a" }, { messageId: "m-1", headers: { Kept: "yes" } });
  await fleet.publish(subject, { job: "b" });
  await lettersAre((reasons) => reasons.length === 2);
  isMended = true;
  const [first, second] = await fleet.deadLetters.list();
  await fleet.deadLetters.replay(first?.id ?? 0);
  await fleet.deadLetters.drop(second?.id ?? 0);
  await until("the replayed one was handled", () => handled.length === 1);
  await streamIsEmpty();
  expect(handled).toEqual([["a", 1, "yes"]]);
  expect(await fleet.deadLetters.count()).toBe(0);
  await expect(fleet.deadLetters.replay(first?.id ?? 0)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

it("gives each message to one member of the queue group, and those of a dead one to another", async () => {
  const { fleet, member, subject, consuming, streamIsEmpty } = await givenFleet({ push: true, ackWait: "500ms" });
  const other = await member();
  const seen: string[] = [];
  const one = await consuming({ maxConcurrent: 10, handle: ({ body }) => void seen.push(body.job) }, other);
  await consuming({ maxConcurrent: 10, handle: ({ body }) => void seen.push(body.job) });
  for (let n = 0; n < 20; n += 1) await fleet.publish(subject, { job: `j${n}` });
  await streamIsEmpty();
  expect(seen.toSorted()).toEqual(Array.from({ length: 20 }, (_, n) => `j${n}`).toSorted());
  await one.stop();
  await fleet.publish(subject, { job: "after" });
  await streamIsEmpty();
  expect(seen).toContain("after");
});

it("goes on after the server was killed and came back", async () => {
  const { fleet, subject, consuming } = await givenFleet();
  const seen = new Set<string>();
  await consuming({ handle: ({ body }) => void seen.add(body.job) });
  await fleet.publish(subject, { job: "before" });
  await until("the first was handled", () => seen.has("before"));
  await nats.kill();
  await nats.restart();
  await until("it is connected again", () => fleet.isConnected);
  await fleet.publish(subject, { job: "after" });
  await until("the second was handled", () => seen.has("after"));
});

it("hands out batches, which are acknowledged together, without what cannot be read", async () => {
  const { fleet, stream, subject, streamIsEmpty } = await givenFleet();
  for (let n = 0; n < 25; n += 1) await fleet.publish(subject, n === 3 ? { job: 3 } : { job: `j${n}` });
  const batches: number[] = [];
  await fleet.consumeBatches({
    stream,
    consumer: "workers",
    schema: Job,
    size: 10,
    waitMs: 200,
    handle: (messages) => void batches.push(messages.length),
  });
  await streamIsEmpty();
  expect(batches).toEqual([9, 10, 5]);
  expect(await fleet.deadLetters.list()).toMatchObject([{ reason: "undecodable", sequence: 4 }]);
});

it("delivers a batch again that failed", async () => {
  const { fleet, stream, subject, streamIsEmpty } = await givenFleet();
  for (let n = 0; n < 3; n += 1) await fleet.publish(subject, { job: `j${n}` });
  const batches: string[] = [];
  await fleet.consumeBatches({
    stream,
    consumer: "workers",
    schema: Job,
    size: 3,
    waitMs: 100,
    handle: (messages) => {
      batches.push(messages.map(({ body }) => body.job).join());
      if (batches.length === 1) throw new Error("not now");
    },
  });
  await streamIsEmpty();
  expect(batches).toEqual(["j0,j1,j2", "j0,j1,j2"]);
});

it("says which consumer is missing", async () => {
  const { fleet, stream } = await givenFleet();
  await expect(
    fleet.consume({ stream, consumer: "nobody", schema: Job, ack: "onHandled", handle: () => undefined }),
  ).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining("nobody") });
});

it("hands back what is in hand when it is stopped, also where the handler does not listen", async () => {
  const { fleet, subject, consuming, streamIsEmpty } = await givenFleet({ ackWait: "20s" });
  let begun = 0;
  const deaf = await consuming({
    handle: () => {
      begun += 1;
      return new Promise<void>(() => undefined);
    },
  });
  await fleet.publish(subject, { job: "a" });
  await until("it is in hand", () => begun === 1);
  await deaf.stop(0);
  await consuming({});
  await streamIsEmpty();
});
