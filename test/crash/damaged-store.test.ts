/** A store that lost or garbled something: the orchestrator names it and ends, every time. */
import { expect, it } from "vitest";
import { subjectOfKey } from "../../src/jetstream/bucket-names.js";
import { managerOf } from "../../src/jetstream/jetstream-manager.js";
import { META_KEYS } from "../../src/protocol/topology.js";
import { useNats } from "../support/nats.js";
import { untilSome } from "../support/until.js";
import { givenScene, type Scene } from "./scene.js";

const nats = useNats();

type Damage = (scene: Scene) => Promise<void>;

const overwrite =
  (bucket: "tasks" | "agents" | "meta", key: string, value: string): Damage =>
  async ({ connection, topology }) => {
    await connection.request(subjectOfKey(topology[bucket].bucket, key), value, { timeoutMs: 1_000 });
  };

/** Changes one field of what is stored, everything else stays right. */
const alter =
  (bucket: "tasks" | "meta", key: string, change: object): Damage =>
  async (scene) => {
    const { streams } = await managerOf(scene.connection);
    const { bucket: name } = scene.topology[bucket];
    const stored = await streams.getMessage(`KV_${name}`, { last_by_subj: subjectOfKey(name, key) });
    const value = { ...(JSON.parse(stored?.string() ?? "") as object), ...change };
    await overwrite(bucket, key, JSON.stringify(value))(scene);
  };

const appendToJournal =
  (text: string): Damage =>
  async ({ connection, subjects }) => {
    await connection.request(subjects.journal, text, { timeoutMs: 1_000 });
  };

const emptyJournal: Damage = async ({ connection, topology }) => {
  const { streams } = await managerOf(connection);
  await streams.purge(topology.journal.name);
};

it.each<[string, Damage, string]>([
  ["a task's record that is not JSON", overwrite("tasks", "t-1", "{"), "t-1"],
  ["a task's record that is no task", overwrite("tasks", "t-1", '{"sequence":1,"record":{}}'), "t-1"],
  ["a task's record from a future that the journal lost", alter("tasks", "t-1", { sequence: 1_000_000 }), "t-1"],
  ["an agent's record that is no agent", overwrite("agents", "k-1", "{}"), "k-1"],
  ["a checkpoint that is none", overwrite("meta", META_KEYS.checkpoint, "[]"), "checkpoint"],
  [
    "a journal that ends before its checkpoint",
    alter("meta", META_KEYS.checkpoint, { highWaterMark: 1_000_000 }),
    "JOURNAL",
  ],
  ["a journal message that is not JSON", appendToJournal("not JSON"), "JOURNAL"],
  ["a journal message that is no flush", appendToJournal("{}"), "JOURNAL"],
  ["a journal that was emptied", emptyJournal, "JOURNAL"],
])("refuses to start on %s, names it, and ends", async (_what, damage, named) => {
  const scene = await givenScene(nats);
  const first = await scene.startOrchestrator();
  await scene.startAgent("k-1", { quick: () => "done" });
  await scene.submit({ taskId: "t-1", type: "of-nobody" });
  await first.stop();
  await damage(scene);

  const second = scene.launchOrchestrator();

  const [closed] = await untilSome("it ends", () =>
    second.saidOf("closed").length > 0 ? second.saidOf("closed") : null,
  );
  expect(closed).toEqual({ code: "STORE_DAMAGED", message: expect.stringContaining(named) });
  expect(second.said.filter((word) => word === "standing by")).toHaveLength(1);
  expect(await second.ended).toBe("exit 1");
});
