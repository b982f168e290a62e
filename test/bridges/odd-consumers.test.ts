/** Consumers, messages and streams that are not as one expects: nothing is lost, said twice, or waited for in vain. */
import { connect } from "node:net";
import { afterEach, expect, it } from "vitest";
import { z } from "zod";
import { connectFleet, type Fleet } from "../../src/bridges/index.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { silentLogger } from "../../src/logger.js";
import type { ConsumerDeclaration } from "../../src/protocol/topology-declaration.js";
import { useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";

const nats = useNats();
const fleets: Fleet[] = [];

afterEach(async () => {
  await Promise.all(fleets.splice(0).map((fleet) => fleet.close()));
});

const Job = z.object({ job: z.string() });
let count = 0;

async function givenStream(consumer: Partial<ConsumerDeclaration> = {}) {
  count += 1;
  const stream = `ODD_${count}`;
  const subject = `odd${count}.one`;
  const topology = defineTopology(`odd ${count}`, {
    streams: { [stream]: { subjects: [`odd${count}.>`], retention: "limits" } },
    consumers: { workers: { stream, ...consumer } },
  });
  const member = async (namespace = `ns${count}`): Promise<Fleet> => {
    const fleet = await connectFleet({ servers: nats.url, name: "test", namespace, topology, logger: silentLogger });
    fleets.push(fleet);
    return fleet;
  };
  const raw = await nats.connect();
  const api = async (what: string, body?: unknown): Promise<void> => {
    const answer = await raw.request(`$JS.API.${what}`, body === undefined ? "" : JSON.stringify(body), {
      timeoutMs: 5_000,
    });
    expect(JSON.parse(new TextDecoder().decode(answer.data))).not.toHaveProperty("error");
  };
  /** As whoever dies with each message that it is given. */
  const exhaust = async (fleet: Fleet, consumer = "workers"): Promise<void> => {
    const { lastSequence } = await advisoriesOf(fleet);
    const inbox = raw.newInbox();
    raw.subscribe(inbox, () => undefined);
    raw.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify({ batch: 2, expires: 5e9 }), {
      reply: inbox,
    });
    await until("the server has said so", async () => (await advisoriesOf(fleet)).lastSequence > lastSequence);
  };
  const advisoriesOf = (fleet: Fleet) => fleet.streamState(`PERDURE_EXHAUSTED_${stream}`);
  const fleet = await member();
  return { fleet, member, stream, subject, raw, api, exhaust, advisoriesOf, topology };
}

const lettersOf = (fleet: Fleet, holds: (letters: Awaited<ReturnType<Fleet["deadLetters"]["list"]>>) => boolean) =>
  untilHolds("the dead letters are", () => fleet.deadLetters.list(), holds);

it("asks for no more at once than the consumer gives", async () => {
  const { fleet, stream, subject } = await givenStream({ maxBatch: 3 });
  const seen: string[] = [];
  for (let n = 0; n < 10; n += 1) await fleet.publish(subject, { job: `j${n}` });
  await fleet.consume({
    stream,
    consumer: "workers",
    schema: Job,
    ack: "onHandled",
    maxConcurrent: 10,
    handle: ({ body }) => void seen.push(body.job),
  });
  await until("all of them came", () => seen.length === 10);
});

it("has as many in hand as it may after pulls were answered in turn and ran out", async () => {
  const { fleet, stream, subject, api } = await givenStream();
  const config = { durable_name: "brief", ack_policy: "explicit", max_expires: 1e9, ack_wait: 30e9 };
  await api(`CONSUMER.CREATE.${stream}.brief`, { stream_name: stream, config });
  let [begun, isQuick] = [0, true];
  const consumption = await fleet.consume({
    stream,
    consumer: "brief",
    schema: Job,
    ack: "onHandled",
    maxConcurrent: 10,
    handle: () => {
      begun += 1;
      return isQuick ? undefined : new Promise<void>(() => undefined);
    },
  });
  const say = (from: number) =>
    Promise.all(Array.from({ length: 10 }, (_, n) => fleet.publish(subject, { job: `j${from + n}` })));
  for (let round = 0; round < 5; round += 1) await say(round * 10);
  await until("all of them were handled", () => begun === 50);
  // The pulls that were there run out, the server says so, and as many are asked for anew.
  const waitingWas = (await fleet.lag(stream, "brief")).waiting;
  const ranOutAt = performance.now() + 1_500;
  await until(`the ${waitingWas} pulls ran out`, () => performance.now() > ranOutAt);
  isQuick = false;
  await say(100);
  const saidAt = performance.now();
  await until("ten are in hand", () => begun === 60);
  expect(performance.now() - saidAt).toBeLessThan(3_000);
  await consumption.stop(0);
});

it("says of pushed messages that wait for their turn that they are here", async () => {
  const { fleet, stream, subject } = await givenStream({ deliverSubject: `odd.deliver`, ackWait: "300ms" });
  const deliveries: (number | undefined)[] = [];
  for (let n = 0; n < 4; n += 1) await fleet.publish(subject, { job: `j${n}` });
  await fleet.consume({
    stream,
    consumer: "workers",
    schema: Job,
    ack: "onHandled",
    handle: async ({ stored }) => {
      const begunAt = performance.now();
      await until("it took its time", () => performance.now() - begunAt > 250);
      deliveries.push(stored?.deliveryCount);
    },
  });
  await until("all were handled", async () => (await fleet.lag(stream, "workers")).ackFloor.streamSequence === 4);
  expect(deliveries).toEqual([1, 1, 1, 1]);
  expect(await fleet.lag(stream, "workers")).toMatchObject({ delivered: { consumerSequence: 4 } });
});

it("lets a push consumer go on that waits for an answer to a flow control message that was lost", async () => {
  const { fleet, stream, raw } = await givenStream({ deliverSubject: "odd.stalled" });
  const answered: string[] = [];
  raw.subscribe("odd.flow.*", ({ subject }) => void answered.push(subject));
  await raw.flush();
  await fleet.consume({ stream, consumer: "workers", schema: Job, ack: "onHandled", handle: () => undefined });
  await fleet.flush();
  // What the server says then; no client library publishes a status.
  const header = "NATS/1.0 100 Idle Heartbeat\r\nNats-Consumer-Stalled: odd.flow.1\r\n\r\n";
  const { hostname, port } = new URL(nats.url);
  const socket = connect(Number(port), hostname);
  socket.on("data", () => undefined);
  socket.write(
    `CONNECT {"verbose":false,"headers":true}\r\nHPUB odd.stalled ${header.length} ${header.length}\r\n${header}\r\n`,
  );
  await until("it was answered", () => answered.length === 1);
  socket.destroy();
});

it("makes a dead letter of what its schema throws at", async () => {
  const { fleet, stream, subject } = await givenStream();
  const schema = Job.transform(({ job }) => BigInt(job).toString());
  await fleet.publish(subject, { job: "no number" });
  await fleet.consume({ stream, consumer: "workers", schema, ack: "onHandled", handle: () => undefined });
  const [letter] = await lettersOf(fleet, (letters) => letters.length === 1);
  expect(letter).toMatchObject({ reason: "undecodable", message: expect.stringContaining("its schema threw") });
});

it("hands back a batch whose handler does not listen when it is stopped, and does not wait for that", async () => {
  const { fleet, stream, subject } = await givenStream({ ackWait: "30s", maxDeliver: 5 });
  await fleet.publish(subject, { job: "a" });
  const of = { stream, consumer: "workers", schema: Job, size: 5, waitMs: 10 };
  let begun = 0;
  const handle = () => {
    begun += 1;
    return new Promise<void>(() => undefined);
  };
  const deaf = await fleet.consumeBatches({ ...of, handle });
  await until("it is in hand", () => begun === 1);
  await deaf.stop(0);
  const deliveries: (number | undefined)[] = [];
  await fleet.consumeBatches({ ...of, handle: ([first]) => void deliveries.push(first?.stored?.deliveryCount) });
  await until("another has it", () => deliveries.length === 1);
  expect(deliveries).toEqual([2]);
});

it.each([0, -1, Number.NaN])("refuses to consume %s messages at a time", async (many) => {
  const { fleet, stream } = await givenStream();
  const of = { stream, consumer: "workers", schema: Job, handle: () => undefined };
  await expect(fleet.consume({ ...of, ack: "onHandled", maxConcurrent: many })).rejects.toMatchObject({
    code: "USAGE",
  });
  await expect(fleet.consumeBatches({ ...of, size: many })).rejects.toMatchObject({ code: "USAGE" });
});

it("keeps a message of a stream that was made anew beside the one that had its number before", async () => {
  const { fleet, member, stream, subject, raw, api, topology } = await givenStream();
  const consume = (by: Fleet) =>
    by.consume({ stream, consumer: "workers", schema: Job, ack: "onHandled", handle: () => undefined });
  const first = await consume(fleet);
  await raw.request(subject, "one", { timeoutMs: 5_000 });
  await lettersOf(fleet, (letters) => letters.length === 1);
  await first.stop();
  await api(`STREAM.DELETE.${stream}`);
  await fleet.apply(topology);
  await consume(await member());
  await raw.request(subject, "two", { timeoutMs: 5_000 });
  const letters = await lettersOf(fleet, ({ length }) => length === 2);
  expect(letters.map(({ sequence, data }) => [sequence, data])).toEqual([
    [1, "one"],
    [1, "two"],
  ]);
});

it("keeps what it cannot read also after somebody deleted the stream of dead letters", async () => {
  const { fleet, stream, subject, raw, api } = await givenStream({ ackWait: "1s" });
  await fleet.consume({ stream, consumer: "workers", schema: Job, ack: "onHandled", handle: () => undefined });
  await raw.request(subject, "one", { timeoutMs: 5_000 });
  await lettersOf(fleet, ({ length }) => length === 1);
  await api(`STREAM.DELETE.NS${count}_DEAD_LETTERS`);
  await raw.request(subject, "two", { timeoutMs: 5_000 });
  await raw.request(subject, "three", { timeoutMs: 5_000 });
  await lettersOf(fleet, (letters) => letters.some(({ data }) => data === "three"));
});

it("replays a message whatever its stream was told to expect of it, and deletes nothing by it", async () => {
  const { fleet, stream, subject, raw } = await givenStream();
  const consumption = await fleet.consume({
    stream,
    consumer: "workers",
    schema: Job,
    ack: "onHandled",
    handle: () => undefined,
  });
  const headers = { "Nats-Expected-Last-Subject-Sequence": "0", "Nats-Expected-Stream": stream, Kept: "yes" };
  await raw.request(subject, "broken", { timeoutMs: 5_000, headers });
  const [letter] = await lettersOf(fleet, ({ length }) => length === 1);
  await consumption.stop();
  await fleet.deadLetters.replay(letter?.id ?? 0);
  const replayed = await fleet.last(stream, subject, z.unknown());
  expect(replayed).toBeUndefined();
  expect(await fleet.streamState(stream)).toMatchObject({ lastSequence: 2, messages: 2 });
});

it("lets two namespaces consume one stream, and gives each the dead letters of its own consumer", async () => {
  const { fleet, member, stream, subject, api, exhaust, advisoriesOf } = await givenStream();
  const other = await member(`other${count}`);
  for (const name of ["ours", "theirs"]) {
    const config = { durable_name: name, ack_policy: "explicit", max_deliver: 1, ack_wait: 100e6 };
    await api(`CONSUMER.CREATE.${stream}.${name}`, { stream_name: stream, config });
  }
  const by = (one: Fleet, consumer: string) =>
    one.consume({ stream, consumer, schema: Job, ack: "onHandled", handle: () => undefined });
  const consumptions = [await by(fleet, "ours"), await by(other, "theirs")];
  await Promise.all(consumptions.map((consumption) => consumption.stop()));
  await fleet.publish(subject, { job: "a" });
  await exhaust(fleet, "ours");
  await exhaust(fleet, "theirs");
  expect(await lettersOf(fleet, ({ length }) => length === 1)).toMatchObject([{ consumer: "ours" }]);
  expect(await lettersOf(other, ({ length }) => length === 1)).toMatchObject([{ consumer: "theirs" }]);
  await until("nothing is left to be dealt with", async () => (await advisoriesOf(fleet)).messages === 0);
});

it("lets two namespaces share one consumer, and keeps what it gives up in one of them while either is there", async () => {
  const { fleet, member, stream, subject, api, exhaust, advisoriesOf } = await givenStream({
    maxDeliver: 1,
    ackWait: "100ms",
  });
  const other = await member(`other${count}`);
  const of = { stream, consumer: "workers", schema: Job, ack: "onHandled", handle: () => undefined } as const;
  for (const one of [fleet, other]) await (await one.consume(of)).stop();
  const kept = async () => (await Promise.all([fleet, other].map((one) => one.deadLetters.list()))).flat();
  await fleet.publish(subject, { job: "a" });
  await exhaust(fleet);
  await untilHolds("one of them has it", kept, ({ length }) => length === 1);
  await until("nothing is left to be dealt with", async () => (await advisoriesOf(fleet)).messages === 0);

  // Everything of one namespace goes, and what no namespace owns with it.
  await fleet.close();
  await api(`STREAM.DELETE.NS${count}_DEAD_LETTERS`);
  await api(`STREAM.DELETE.PERDURE_EXHAUSTED_${stream}`);
  await until("what the server says is kept again", async () => (await advisoriesOf(other)).consumers === 1);
  const before = await other.deadLetters.count();
  await other.publish(subject, { job: "b" });
  await exhaust(other);
  await lettersOf(other, ({ length }) => length === before + 1);
});

it("goes by the rules of a consumer that somebody edits meanwhile", async () => {
  const { fleet, stream, subject, raw, api } = await givenStream({ ackWait: "30s", maxDeliver: 1, maxAckPending: 10 });
  const edit = async (changes: object): Promise<void> => {
    const answer = await raw.request(`$JS.API.CONSUMER.INFO.${stream}.workers`, "", { timeoutMs: 5_000 });
    const { config } = JSON.parse(new TextDecoder().decode(answer.data));
    await api(`CONSUMER.CREATE.${stream}.workers`, { stream_name: stream, config: { ...config, ...changes } });
  };
  const inHand = new Map<string, (fault?: Error) => void>();
  const deliveries: string[] = [];
  const consumption = await fleet.consume({
    stream,
    consumer: "workers",
    schema: Job,
    ack: "onHandled",
    maxConcurrent: 100,
    handle: ({ body: { job } }) => {
      deliveries.push(job);
      return new Promise<void>((resolve, reject) =>
        inHand.set(job, (fault) => (fault === undefined ? resolve() : reject(fault))),
      );
    },
  });
  const times = (job: string) => deliveries.filter((one) => one === job).length;
  await fleet.publish(subject, { job: "failing" });
  await until("it is in hand", () => times("failing") === 1);
  await edit({ max_deliver: 50 });
  inHand.get("failing")?.(new Error("not now"));
  await until("it is given another time", () => times("failing") === 2);
  inHand.get("failing")?.();

  await fleet.publish(subject, { job: "slow" });
  await until("it is in hand", () => times("slow") === 1);
  await edit({ ack_wait: 150e6 });
  const editedAt = performance.now();
  await until("ten waits are over", () => performance.now() - editedAt > 1_500);
  // The one or two that come before it is noticed.
  expect(times("slow")).toBeLessThan(5);
  expect(await fleet.deadLetters.count()).toBe(0);
  await consumption.stop(0);
});

it("is done with a message that was given up once its stream is deleted", async () => {
  const { fleet, member, stream, subject, api, exhaust, advisoriesOf } = await givenStream({
    maxDeliver: 1,
    ackWait: "100ms",
  });
  const gone = await member();
  await gone.consume({ stream, consumer: "workers", schema: Job, ack: "onHandled", handle: () => undefined });
  await gone.close();
  await fleet.publish(subject, { job: "a" });
  await exhaust(fleet);
  await api(`STREAM.DELETE.${stream}`);
  const again = await member();
  await again.consume({ stream, consumer: "workers", schema: Job, ack: "onHandled", handle: () => undefined });
  await until("it is dealt with", async () => (await advisoriesOf(fleet)).messages === 0);
});
