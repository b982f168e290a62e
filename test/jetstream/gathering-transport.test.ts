import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import type { Connection } from "../../src/jetstream/connection.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";

const nats = useNats();

/** The sockets of connections that are made while `make` runs. */
async function withSockets(make: () => Promise<Connection>): Promise<readonly [Connection, readonly Socket[]]> {
  const sockets: Socket[] = [];
  const note = (message: unknown): void => {
    if (message !== null && typeof message === "object" && "socket" in message && message.socket instanceof Socket)
      sockets.push(message.socket);
  };
  subscribe("net.client.socket", note);
  try {
    return [await make(), sockets];
  } finally {
    unsubscribe("net.client.socket", note);
  }
}

test("what is sent in one turn of the event loop leaves in one write", async () => {
  const [connection, [socket]] = await withSockets(() => nats.connect());
  let heard = 0;
  connection.subscribe("counted", () => {
    heard += 1;
  });
  await connection.flush();

  for (let n = 0; n < 100; n += 1) {
    connection.publish("counted", "x".repeat(50));
    await Promise.resolve();
    await Promise.resolve();
  }

  // Nothing of it has been given to the system yet.
  expect(socket?.writableLength).toBeGreaterThan(100 * 50);
  await until("all of it arrives", () => heard === 100);
  expect(socket?.writableLength).toBe(0);
});

test("a connection that drains in the turn of its last message has sent it", async () => {
  const staying = await nats.connect();
  const heard: string[] = [];
  staying.subscribe("last.words", (message) => heard.push(new TextDecoder().decode(message.data)));
  await staying.flush();
  const leaving = await nats.connect();

  leaving.publish("last.words", "drained");
  await leaving.drain();

  await until("they arrive", () => heard.includes("drained"));
});
