/** Workers that are killed, as processes of their own from the compiled code. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { MemoryStore } from "../../../workflows/overmind/memory-store.js";
import { untilHolds, untilSome } from "../../support/until.js";
import { givenConsolidated } from "./given.js";
import { usePlatform } from "./platform.js";

const platform = usePlatform();
const stream = "memory-events";
const consumer = "consolidation-consumer";
/** In place of two minutes; a loaded machine must still say in time that it is at work. */
const ACK_WAIT_MS = 2_000;

beforeAll(() => platform.old.shortenAckWait(stream, consumer, ACK_WAIT_MS));

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const memory = async (memoryId: string) => (await new MemoryStore(platform.bucket).read(memoryId)).value;

function endWithTest(child: ChildProcess): void {
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  });
}

/** Resolves with the signal that ended it. */
async function crashingMember(): Promise<unknown> {
  const child = fork(pathOf("./crashing-member.mjs"), [JSON.stringify({ servers: platform.url })], { silent: true });
  endWithTest(child);
  const [, signal] = await once(child, "exit");
  return signal;
}

/** Resolves when it works. */
async function consolidationWorker(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [pathOf("../../../dist/workflows/overmind/worker.js"), "consolidation"], {
    env: { ...process.env, NATS_URL: platform.url, NATS_TOKEN: "", PERDURE_NAMESPACE: "" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  endWithTest(child);
  await once(child.stdout, "data");
  return child;
}

it("keeps an event that kills its worker at each delivery, lets the others through, and takes it up again", {
  timeout: 60_000,
}, async () => {
  const sequence = await platform.old.publish("memory.consolidated", givenConsolidated({ memoryId: "m-killer" }));

  const ends = [await crashingMember(), await crashingMember(), await crashingMember()];
  await platform.old.publish("memory.consolidated", givenConsolidated({ eventId: "e-2", memoryId: "m-next" }));
  const part = await platform.start("consolidation");
  const [letter] = await untilHolds(
    "there is a dead letter",
    () => platform.fleet.deadLetters.list(),
    (all) => all.length > 0,
  );
  await untilSome("the next event is consolidated", () => memory("m-next"));
  const beforeReplay = await memory("m-killer");
  await platform.fleet.deadLetters.replay(letter?.id ?? 0);
  const afterReplay = await untilSome("the event is consolidated", () => memory("m-killer"));
  await part.stop();

  expect(ends).toEqual(["SIGKILL", "SIGKILL", "SIGKILL"]);
  expect(letter).toMatchObject({ reason: "exhausted", attempts: 3, stream, consumer, sequence });
  expect(beforeReplay).toBeUndefined();
  expect(afterReplay.events).toEqual(["e-1"]);
});

it("consolidates every event once although workers are killed", { timeout: 60_000 }, async () => {
  const ids = Array.from({ length: 60 }, (_, index) => `crash-${index}`);
  const first = await consolidationWorker();
  await Promise.all(
    ids.map((eventId) =>
      platform.old.publish(
        "memory.consolidated",
        givenConsolidated({ eventId, memoryId: `m-${eventId}`, accessCount: 1 }),
      ),
    ),
  );
  await untilSome("some are consolidated", () => memory("m-crash-0"));
  first.kill("SIGKILL");
  const inHand = (await platform.fleet.lag(stream, consumer)).ackPending;
  const second = await consolidationWorker();

  await untilHolds(
    "every event is acknowledged",
    () => platform.fleet.lag(stream, consumer),
    ({ pending, ackPending }) => pending === 0 && ackPending === 0,
    { deadlineMs: 40_000 },
  );
  const records = await Promise.all(ids.map((eventId) => memory(`m-${eventId}`)));
  const ended = once(second, "exit");
  second.kill("SIGTERM");

  expect(inHand).toBeGreaterThan(0);
  expect(records.map((record) => record?.events)).toEqual(ids.map((eventId) => [eventId]));
  expect((await ended)[0]).toBe(0);
});
