/** What an orchestrator leaves behind that was stopped in order: everything in the buckets, and nothing else. */
import { expect, it } from "vitest";
import { streamOfBucket, subjectOfKey } from "../../src/jetstream/bucket-names.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";
import { endOf, givenScene, Held, type Scene } from "./scene.js";

const nats = useNats();

/** Ended, running, queued, waiting and in back-off. */
async function givenTasksOfEachKind(scene: Scene): Promise<Held> {
  const held = new Held();
  await scene.startAgent("k-1", {
    hold: held.handler,
    quick: (_, input) => input,
    broken: () => {
      throw new Error("never");
    },
  });
  await scene.submit({ taskId: "done", type: "quick", input: 1 });
  await scene.submit({ taskId: "running", type: "hold" });
  await scene.submit({ taskId: "waiting", type: "quick", dependencies: ["done", "running"] });
  await scene.submit({ taskId: "queued", type: "of nobody".replace(" ", "-") });
  await scene.submit({ taskId: "backoff", type: "broken", retry: { initialIntervalMs: 60_000 } });
  await scene.submit({ taskId: "cancelled", type: "of-nobody" });
  await scene.cancel("cancelled");
  for (const state of ["running", "backoff"] as const) await scene.untilState(state, state);
  await scene.untilEnded("done");
  return held;
}

it("leaves the state in the buckets as clients saw it last", async () => {
  const scene = await givenScene(nats);
  const orchestrator = await scene.startOrchestrator();
  await givenTasksOfEachKind(scene);
  const seen = await Promise.all(
    ["done", "running", "waiting", "queued", "backoff", "cancelled"].map((taskId) => scene.client.get(taskId)),
  );

  await orchestrator.stop();

  expect(await orchestrator.ended).toBe("exit 0");
  const live = await scene.tasksIn("tasks");
  const ended = await scene.tasksIn("endedTasks");
  // A task that another one still needs counts as live.
  expect([...live.keys()].sort()).toEqual(["backoff", "done", "queued", "running", "waiting"]);
  expect([...ended.keys()]).toEqual(["cancelled"]);
  const stored = seen.map(({ taskId }) => live.get(taskId) ?? ended.get(taskId));
  expect(stored.map((record) => [record?.state, record?.attempt, record?.output ?? undefined])).toEqual(
    seen.map(({ state, attempt, output }) => [state, attempt, output]),
  );
  expect([...(await scene.agentsInBucket()).values()]).toMatchObject([{ agentId: "k-1", incarnation: 1 }]);
});

it("leaves the next leader nothing to replay, and one message of the journal", async () => {
  const scene = await givenScene(nats);
  const orchestrator = await scene.startOrchestrator();
  const held = await givenTasksOfEachKind(scene);
  const { journalSequence } = await scene.client.status();

  await orchestrator.stop();

  const { streams } = await managerOf(scene.connection);
  const journal = await streams.info(scene.topology.journal.name);
  expect(journal.state.messages).toBe(1);
  expect(journal.state.last_seq).toBeGreaterThanOrEqual(journalSequence);
  await scene.startOrchestrator();
  held.release();
  expect(endOf(await scene.untilEnded("waiting"))).toMatchObject({ state: "completed" });
});

it("keeps ended tasks for their retention only, and of where they were before a mark that they are gone", async () => {
  const scene = await givenScene(nats, { settings: { retentionMs: 3_000 } });
  const orchestrator = await scene.startOrchestrator();
  const held = new Held();
  await scene.startAgent("k-1", { hold: held.handler });
  await scene.submit({ taskId: "t-1", type: "hold" });
  await until("it is in the bucket of live tasks", async () => (await scene.tasksIn("tasks")).has("t-1"));
  held.release();
  await scene.untilEnded("t-1");
  await orchestrator.stop();

  const { streams } = await managerOf(scene.connection);
  const { bucket } = scene.topology.endedTasks;
  const record = await streams.getMessage(streamOfBucket(bucket), { last_by_subj: subjectOfKey(bucket, "t-1") });
  expect(record?.header.get("Nats-TTL")).toBe("3s");
  const messagesIn = async (name: string) => (await streams.info(streamOfBucket(name))).state.messages;
  // Beside the fence.
  await untilHolds(
    "the bucket of ended tasks is empty",
    () => messagesIn(bucket),
    (messages) => messages === 1,
  );
  expect(await messagesIn(scene.topology.tasks.bucket)).toBe(2);
  expect((await scene.tasksIn("tasks")).size).toBe(0);
});

it("ends though the server is gone, and the next leader goes on from what was accepted", async () => {
  const scene = await givenScene(nats);
  const orchestrator = await scene.startOrchestrator();
  await scene.submit({ taskId: "t-1", type: "late" });
  await nats.kill();

  await orchestrator.stop();

  await nats.restart();
  await scene.startOrchestrator();
  await scene.startAgent("k-1", { late: () => "late" });
  expect(await scene.untilEnded("t-1")).toMatchObject({ state: "completed", output: "late" });
});

it("ends though the server stands still", async () => {
  const scene = await givenScene(nats);
  const orchestrator = await scene.startOrchestrator();
  await scene.submit({ taskId: "t-1", type: "late" });
  await nats.freeze();

  await orchestrator.stop();

  expect(await orchestrator.ended).toBe("exit 0");
});
