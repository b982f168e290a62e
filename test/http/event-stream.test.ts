/** A stream of events and its reader: quick, slow, gone. */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import type { SystemEvent } from "../../src/client/system-events.js";
import { type EventStreamOptions, writeEvents } from "../../src/http/event-stream.js";
import { givenEnvelope } from "../support/given.js";
import { until, untilSome } from "../support/until.js";
import { EventReader } from "./raw-http.js";

interface Stream {
  readonly url: string;
  readonly response: () => ServerResponse | undefined;
  readonly listeners: Set<(event: SystemEvent) => void>;
  emit(taskId: string, padding?: string): void;
  end(): void;
}

async function givenStream(change: Partial<EventStreamOptions> = {}): Promise<Stream> {
  const listeners = new Set<(event: SystemEvent) => void>();
  const stopping = new AbortController();
  let response: ServerResponse | undefined;
  const server: Server = createServer((_, opened) => {
    response = opened;
    writeEvents(opened, {
      listen: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      wanted: () => true,
      signal: stopping.signal,
      beginning: "new",
      heartbeatMs: 60_000,
      patienceMs: 60_000,
      ...change,
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    response: () => response,
    listeners,
    emit: (taskId, padding = "") => {
      const event: SystemEvent = { ...givenEnvelope, eventType: "TASK_COMPLETED", payload: { taskId, padding } };
      for (const listener of listeners) listener(event);
    },
    end: () => stopping.abort(),
  };
}

it("frames each event with its id, its name and its JSON on one line", async () => {
  const stream = await givenStream();
  await using reader = await EventReader.open(stream.url);

  stream.emit("t-1", "two\nlines");

  expect(await reader.frame("TASK_COMPLETED")).toEqual({
    id: givenEnvelope.messageId,
    event: "TASK_COMPLETED",
    data: { ...givenEnvelope, eventType: "TASK_COMPLETED", payload: { taskId: "t-1", padding: "two\nlines" } },
  });
});

it("shows with comments that it is alive", async () => {
  const stream = await givenStream({ heartbeatMs: 20 });
  await using reader = await EventReader.open(stream.url);

  await until("two heartbeats came", () => reader.text.split(": heartbeat\n\n").length > 2);
});

it("keeps a bounded part for a slow reader, tells it how many it missed, and goes on", async () => {
  const stream = await givenStream();
  await using reader = await EventReader.open(stream.url);
  reader.socket.pause();
  const padding = "x".repeat(10_000);
  const sent = 4_000;

  for (let index = 0; index < sent; index += 1) stream.emit(`t-${index}`, padding);
  const memoryBytes = stream.response()?.writableLength ?? 0;
  reader.socket.resume();
  const { data } = await reader.frame("EVENTS_MISSED");
  stream.emit("last");
  await until("the last event came", () => reader.text.includes('"last"'));

  const { count } = data as { count: number };
  const frames = reader.frames.filter(({ event }) => event === "TASK_COMPLETED");
  expect(data).toEqual({ reason: "TOO_SLOW", count: expect.any(Number) });
  expect(frames).toHaveLength(sent - count + 1);
  // The gap lies where it is told, and the newest are those that were kept.
  expect(frames.at(-2)?.data).toMatchObject({ payload: { taskId: `t-${sent - 1}` } });
  expect(memoryBytes).toBeLessThan(100_000);
});

it("cuts off a reader that takes nothing any more", async () => {
  const stream = await givenStream({ heartbeatMs: 20, patienceMs: 100 });
  await using reader = await EventReader.open(stream.url);
  reader.socket.pause();

  const padding = "x".repeat(100_000);
  await until("the stream is cut off", () => {
    // The kernel's buffers take some megabytes before anybody notices.
    stream.emit("t-1", padding);
    return stream.response()?.destroyed === true;
  });
  await until("it listens no more", () => stream.listeners.size === 0);
});

it("stops listening when its reader is gone", async () => {
  const stream = await givenStream();
  const reader = await EventReader.open(stream.url);
  await untilSome("it listens", () => (stream.listeners.size === 1 ? true : null));

  await reader[Symbol.asyncDispose]();

  await until("it listens no more", () => stream.listeners.size === 0);
});

it("ends in order when it is told to", async () => {
  const stream = await givenStream();
  await using reader = await EventReader.open(stream.url);

  stream.end();

  await until("the stream has ended", () => reader.ended);
  expect(reader.received).toMatch(/\r\n0\r\n\r\n$/);
  expect(stream.listeners.size).toBe(0);
});

it("says at once to a reader that was there before that it may have missed something", async () => {
  const stream = await givenStream({ beginning: "resumed" });
  await using reader = await EventReader.open(stream.url);

  expect(await reader.frame("EVENTS_MISSED")).toEqual({
    id: null,
    event: "EVENTS_MISSED",
    data: { reason: "RESUMED" },
  });
});
