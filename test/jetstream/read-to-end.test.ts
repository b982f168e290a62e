import { expect, test } from "vitest";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { publishAcked } from "../../src/jetstream/publisher.js";
import { readToEnd } from "../../src/jetstream/read-to-end.js";
import { silentLogger } from "../../src/logger.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until } from "../support/until.js";

const nats = useNats();

test("reads on to the end when the reader was slower than the server's heartbeats", async () => {
  const connection = await nats.connect();
  const stream = newNamespace();
  const { streams } = await managerOf(connection);
  await streams.add({ name: stream, subjects: [stream] });
  // Many times what the server sends ahead, so that it stands still while the reader is busy.
  const messageCount = 100;
  const body = new Uint8Array(256 * 1024);
  for (let index = 0; index < messageCount; index += 1) {
    await publishAcked(connection, stream, body, { timeoutMs: 5_000 });
  }

  let read = 0;
  for await (const arrived of readToEnd(connection, {
    stream,
    content: "full",
    startSequence: 1,
    logger: silentLogger,
  })) {
    if (read === 0) {
      const busyUntil = performance.now() + 2_500;
      await until("two heartbeats have come", () => performance.now() > busyUntil);
    }
    read += arrived.length;
  }
  expect(read).toBe(messageCount);
});
