import { expect, test } from "vitest";
import { type ConnectionEvent, connect, type Message } from "../../src/jetstream/connection.js";
import { silentLogger } from "../../src/logger.js";
import { captureLog } from "../support/log-lines.js";
import { useNats } from "../support/nats.js";
import { until, untilSome } from "../support/until.js";

const nats = useNats();
const text = (message: Message | undefined): string => new TextDecoder().decode(message?.data);

test("a missing server is refused within the time-out, with what to do", async () => {
  const startedAt = performance.now();
  const failure = connect({
    servers: "nats://127.0.0.1:1",
    name: "test",
    connectionTimeoutMs: 1_000,
    reconnectWaitMs: 20,
    maxReconnects: -1,
    logger: silentLogger,
  });
  await expect(failure).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
  await expect(failure).rejects.toThrow(/nats:\/\/127\.0\.0\.1:1.*perdure dev.*NATS_URL/);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});

test("a server that never answers is given up after the time-out", async () => {
  await nats.freeze();
  await expect(
    connect({
      servers: nats.url,
      name: "test",
      connectionTimeoutMs: 200,
      reconnectWaitMs: 20,
      maxReconnects: -1,
      logger: silentLogger,
    }),
  ).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
});

test("a message arrives with subject, body, headers and where to answer", async () => {
  const connection = await nats.connect();
  let received: Message | undefined;
  connection.subscribe("letters.*", (message) => {
    received = message;
  });
  connection.publish("letters.a", "hello", { reply: "answers.here", headers: { traceparent: "00-1" } });
  const message = await untilSome("the message arrives", () => received);
  expect(message.subject).toBe("letters.a");
  expect(text(message)).toBe("hello");
  expect(message.reply).toBe("answers.here");
  expect(message.header("traceparent")).toBe("00-1");
  expect(message.header("absent")).toBeUndefined();
  expect(message.statusCode).toBeUndefined();
});

test("a message without reply, headers and body has none", async () => {
  const connection = await nats.connect();
  let received: Message | undefined;
  connection.subscribe("empty", (message) => {
    received = message;
  });
  connection.publish("empty", "");
  const message = await untilSome("the message arrives", () => received);
  expect(message.reply).toBeUndefined();
  expect(message.header("any")).toBeUndefined();
  expect(message.data.byteLength).toBe(0);
});

test("a handler that throws leaves the subscription alive", async () => {
  const { logger, count } = captureLog();
  const connection = await nats.connect({ logger });
  const seen: string[] = [];
  connection.subscribe("work", (message) => {
    if (text(message) === "bad") JSON.parse("{");
    seen.push(text(message));
  });
  for (const body of ["bad", "good", "bad", "better"]) connection.publish("work", body);
  await until("the messages after the bad ones are handled", () => seen.length === 2);
  expect(seen).toEqual(["good", "better"]);
  expect(count("a message handler threw")).toBe(2);
});

test("each request gets its own answer, whatever the order they come in", async () => {
  const connection = await nats.connect();
  const waiting: Message[] = [];
  connection.subscribe("echo", (message) => {
    waiting.push(message);
    if (waiting.length < 100) return;
    for (const asked of waiting.reverse()) if (asked.reply !== undefined) connection.publish(asked.reply, asked.data);
  });
  const numbers = Array.from({ length: 100 }, (_, index) => String(index));
  const answers = await Promise.all(numbers.map((body) => connection.request("echo", body, { timeoutMs: 5_000 })));
  expect(answers.map(text)).toEqual(numbers);
});

test("a request nobody listens for fails at once", async () => {
  const connection = await nats.connect();
  const startedAt = performance.now();
  await expect(connection.request("nobody.here", "", { timeoutMs: 10_000 })).rejects.toMatchObject({
    code: "NO_RESPONDERS",
    details: { subject: "nobody.here" },
  });
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});

test("requests that are not answered time out, each after its own time", async () => {
  const connection = await nats.connect();
  connection.subscribe("silent", () => undefined);
  const order: number[] = [];
  const ask = (timeoutMs: number): Promise<unknown> =>
    connection.request("silent", "", { timeoutMs }).catch((error: unknown) => {
      order.push(timeoutMs);
      return error;
    });
  const errors = await Promise.all([ask(120), ask(40), ask(80)]);
  expect(order).toEqual([40, 80, 120]);
  for (const error of errors) expect(error).toMatchObject({ code: "REQUEST_TIMED_OUT" });
});

test("an aborted request rejects with the reason, before and after it was sent", async () => {
  const connection = await nats.connect();
  connection.subscribe("silent", () => undefined);
  const reason = new Error("no longer wanted");
  const abort = new AbortController();
  const asked = connection.request("silent", "", { timeoutMs: 5_000, signal: abort.signal });
  abort.abort(reason);
  await expect(asked).rejects.toBe(reason);
  await expect(connection.request("silent", "", { timeoutMs: 5_000, signal: abort.signal })).rejects.toBe(reason);
});

test("a payload over the server's limit is refused by name, and the connection lives on", async () => {
  const connection = await nats.connect();
  const tooLarge = new Uint8Array(connection.maxPayloadBytes + 1);
  expect(() => connection.publish("big", tooLarge)).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
  await expect(connection.request("big", tooLarge, { timeoutMs: 1_000 })).rejects.toMatchObject({
    code: "PAYLOAD_TOO_LARGE",
    details: { subject: "big", bytes: tooLarge.byteLength },
  });
  await connection.flush();
});

test("what a server takes is still known when the connection to it is lost", async () => {
  const connection = await nats.connect();
  const { maxPayloadBytes, serverVersion } = connection;
  await nats.kill();
  await until("the loss is noticed", () => connection.isReconnecting);
  expect(connection.maxPayloadBytes).toBe(maxPayloadBytes);
  expect(connection.serverVersion).toBe(serverVersion);
  await nats.restart();
});

test("a header with a line break is refused", async () => {
  const connection = await nats.connect();
  const smuggled = { headers: { traceparent: "1\r\nNats-Rollup: all" } };
  expect(() => connection.publish("any", "", smuggled)).toThrow(expect.objectContaining({ code: "INVALID_MESSAGE" }));
});

test("an answer that comes after the connection was lost and found is still the answer", async () => {
  const asking = await nats.connect();
  const answering = await nats.connect();
  let asked: Message | undefined;
  answering.subscribe("slow", (message) => {
    asked = message;
  });
  await answering.flush();
  const answer = asking.request("slow", "", { timeoutMs: 20_000 });
  const { reply } = await untilSome("the question arrives", () => asked);
  const events: ConnectionEvent[] = [];
  asking.onEvent((event) => events.push(event));
  let othersBack = false;
  answering.onEvent((event) => {
    if (event === "reconnected") othersBack = true;
  });
  await nats.kill();
  await nats.restart();
  await until("both are connected again", () => events.includes("reconnected") && othersBack);
  await asking.flush();
  answering.publish(reply ?? "", "late");
  expect(text(await answer)).toBe("late");
  expect(events).toEqual(["disconnected", "reconnected"]);
});

test("closing fails what waits, and may be done twice", async () => {
  const connection = await nats.connect();
  connection.subscribe("silent", () => undefined);
  const events: ConnectionEvent[] = [];
  connection.onEvent((event) => events.push(event));
  const asked = expect(connection.request("silent", "", { timeoutMs: 60_000 })).rejects.toMatchObject({
    code: "CONNECTION_FAILED",
  });
  await connection.close();
  await connection.close();
  await connection.drain();
  await asked;
  expect(events).toEqual(["closed"]);
  expect(() => connection.publish("any", "")).toThrow(expect.objectContaining({ code: "CONNECTION_FAILED" }));
});

test("draining lets what was published leave first", async () => {
  const leaving = await nats.connect();
  const staying = await nats.connect();
  let count = 0;
  staying.subscribe("farewell", () => {
    count += 1;
  });
  await staying.flush();
  for (let index = 0; index < 1_000; index += 1) leaving.publish("farewell", "bye");
  await leaving.drain();
  await leaving.drain();
  await until("all of it arrives", () => count === 1_000);
});

test("draining does not wait for a server that is gone", async () => {
  const connection = await nats.connect();
  const events: ConnectionEvent[] = [];
  connection.onEvent((event) => events.push(event));
  await nats.kill();
  await until("the loss is noticed", () => events.includes("disconnected"));
  const startedAt = performance.now();
  await connection.drain();
  expect(performance.now() - startedAt).toBeLessThan(8_000);
  await nats.restart();
});
