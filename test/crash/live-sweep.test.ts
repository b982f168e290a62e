/** Deleted records of live tasks: swept out when there are many, and never back, whatever is killed. */
import { expect, it } from "vitest";
import { streamOfBucket, subjectOfKey } from "../../src/jetstream/bucket-names.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { useNats } from "../support/nats.js";
import { untilHolds } from "../support/until.js";
import { givenScene, type Scene } from "./scene.js";

const nats = useNats();

const idsOf = (first: number, count: number) => Array.from({ length: count }, (_, index) => `t-${first + index}`);
const waitLong = { deadlineMs: 40_000 };

async function messagesOfLiveTasks({ connection, topology }: Scene): Promise<number> {
  const { streams } = await managerOf(connection);
  return (await streams.info(streamOfBucket(topology.tasks.bucket))).state.messages;
}

/** Tasks of a type that no agent has: they wait in the bucket until they are cancelled. */
async function givenWaitingTasks(scene: Scene, ids: readonly string[]): Promise<void> {
  for (let start = 0; start < ids.length; start += 2_000) {
    const tasks = ids.slice(start, start + 2_000).map((taskId) => ({ taskId, type: "of-nobody" }));
    await scene.client.submitAll(tasks);
  }
}

it("sweeps out the tombstones of thousands of tasks, and brings none of them back after a crash", async () => {
  const scene = await givenScene(nats);
  const first = await scene.startOrchestrator();
  const gone = idsOf(0, 5_100);
  const kept = idsOf(gone.length, 300);
  await givenWaitingTasks(scene, [...gone, ...kept]);
  await untilHolds(
    "all are in the bucket",
    () => messagesOfLiveTasks(scene),
    (messages) => messages === gone.length + kept.length + 1,
    waitLong,
  );

  const { bucket } = scene.topology.tasks;
  const { streams } = await managerOf(scene.connection);
  const stored = await streams.getMessage(streamOfBucket(bucket), { last_by_subj: subjectOfKey(bucket, "t-0") });

  await Promise.all(gone.map((taskId) => scene.client.cancel(taskId)));
  let submittedMeanwhile = 0;
  await untilHolds(
    "the tombstones are swept out while work goes on",
    async () => {
      submittedMeanwhile += 1;
      await givenWaitingTasks(scene, [`meanwhile-${submittedMeanwhile}`]);
      return await messagesOfLiveTasks(scene);
    },
    (messages) => messages < gone.length,
    waitLong,
  );
  await first.kill();
  // A server that is killed may forget a purge and find old records again. Whether it does is for it to say; here it did.
  await scene.connection.request(subjectOfKey(bucket, "t-0"), stored?.data ?? "", { timeoutMs: 5_000 });
  await nats.kill();
  await nats.restart();
  await scene.startOrchestrator();

  const queuedTaskCount = kept.length + submittedMeanwhile;
  expect(await scene.client.status()).toMatchObject({ queuedTaskCount, activeTaskCount: 0 });
  expect(await scene.client.get("t-0")).toMatchObject({ state: "cancelled" });
  expect(await scene.client.get("t-5099")).toMatchObject({ state: "cancelled" });
}, 90_000);
