import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { PendingReplies } from "../../src/jetstream/pending-replies.js";

/** Two ends of a connection within this process. */
async function givenSockets(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  onTestFinished(async () => {
    near.destroy();
    far.destroy();
    server.close();
    await once(server, "close");
  });
  return { near, far };
}

function standStill(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test("an answer that arrived while the process stood still is no time-out", async () => {
  const { near, far } = await givenSockets();
  const replies = new PendingReplies<string>(() => performance.now());
  near.on("data", (data) => replies.answer("token", data.toString()));
  const answer = replies.wait("token", "subject", 20, undefined);
  far.write("in time");
  standStill(60);
  await expect(answer).resolves.toBe("in time");
});

test("without an answer it is one", async () => {
  const replies = new PendingReplies<string>(() => performance.now());
  await expect(replies.wait("token", "subject", 20, undefined)).rejects.toMatchObject({ code: "REQUEST_TIMED_OUT" });
  expect(replies.size).toBe(0);
});
