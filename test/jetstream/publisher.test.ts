import { expect, test } from "vitest";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { publishAcked } from "../../src/jetstream/publisher.js";
import { newNamespace, useNats } from "../support/nats.js";

const nats = useNats();

async function givenStream() {
  const connection = await nats.connect();
  const name = newNamespace();
  const { streams } = await managerOf(connection);
  await streams.add({ name, subjects: [`${name}.>`] });
  return { connection, streams, name, subject: `${name}.a` };
}

test("a message that is stored is acknowledged with its sequence", async () => {
  const { connection, subject } = await givenStream();
  expect(await publishAcked(connection, subject, "a", { timeoutMs: 5_000 })).toEqual({ sequence: 1, duplicate: false });
  expect(await publishAcked(connection, subject, "b", { timeoutMs: 5_000 })).toEqual({ sequence: 2, duplicate: false });
});

test("the same message id a second time is a duplicate of the first", async () => {
  const { connection, subject } = await givenStream();
  const options = { timeoutMs: 5_000, headers: { "Nats-Msg-Id": "m-1" } };
  await publishAcked(connection, subject, "a", options);
  expect(await publishAcked(connection, subject, "a", options)).toEqual({ sequence: 1, duplicate: true });
});

test("a subject that no stream takes is refused at once", async () => {
  const connection = await nats.connect();
  await expect(publishAcked(connection, "no.stream", "a", { timeoutMs: 5_000 })).rejects.toMatchObject({
    code: "NO_RESPONDERS",
  });
});

test("an answer that is no stream's is told apart", async () => {
  const connection = await nats.connect();
  connection.subscribe("impostor", ({ reply }) => connection.publish(reply ?? "", "thanks"));
  await expect(publishAcked(connection, "impostor", "a", { timeoutMs: 5_000 })).rejects.toMatchObject({
    code: "STORAGE_UNAVAILABLE",
  });
});

test("a full stream and a message that is too large for it are told apart", async () => {
  const { connection, streams, name, subject } = await givenStream();
  await streams.update(name, { max_bytes: 10_000, discard: "new", max_msg_size: 1_000 });
  await expect(publishAcked(connection, subject, "x".repeat(2_000), { timeoutMs: 5_000 })).rejects.toMatchObject({
    code: "PAYLOAD_TOO_LARGE",
  });
  const fill = async (): Promise<void> => {
    for (let count = 0; count < 20; count += 1) {
      await publishAcked(connection, subject, "x".repeat(900), { timeoutMs: 5_000 });
    }
  };
  await expect(fill()).rejects.toMatchObject({ code: "STORAGE_FULL" });
});
