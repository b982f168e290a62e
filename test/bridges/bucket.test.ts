import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { connectFleet, type Fleet } from "../../src/bridges/index.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { silentLogger } from "../../src/logger.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";

const nats = useNats();
let fleet: Fleet;

beforeAll(async () => {
  fleet = await connectFleet({
    servers: nats.url,
    name: "fleet",
    logger: silentLogger,
    topology: defineTopology("counts", { buckets: { counts: {} } }),
  });
});
afterAll(() => fleet.close());

const counts = () => fleet.bucket("counts", z.number());

it("writes onto the revision that was read, and tells the loser of a race", async () => {
  const bucket = counts();
  expect(await bucket.get("a")).toEqual({ value: undefined, revision: 0 });
  const first = await bucket.put("a", 1, 0);
  expect(await bucket.put("a", 9, 0)).toBe("lostRace");
  expect(await bucket.get("a")).toEqual({ value: 1, ...(first as object) });
});

it("loses no update of many at once", async () => {
  const bucket = counts();
  await Promise.all(Array.from({ length: 20 }, () => bucket.update("sum", (sum = 0) => sum + 1)));
  expect((await bucket.get("sum")).value).toBe(20);
  expect(await bucket.update("sum", (sum) => sum)).toBe(20);
});

it("reads a deleted key as absent, and writes behind the deletion", async () => {
  const bucket = counts();
  await bucket.put("gone", 1, 0);
  const connection = await nats.connect();
  await connection.request("$KV.counts.gone", "", { timeoutMs: 5_000, headers: { "KV-Operation": "DEL" } });
  const { value, revision } = await bucket.get("gone");
  expect([value, revision > 0]).toEqual([undefined, true]);
  expect(await bucket.put("gone", 2, revision)).not.toBe("lostRace");
});

it("refuses a value of somebody else's, and a key that is none", async () => {
  const bucket = counts();
  await fleet.bucket("counts", z.unknown()).put("text", "seven", 0);
  await expect(bucket.get("text")).rejects.toMatchObject({ code: "STORE_DAMAGED", details: { key: "text" } });
  for (const key of ["", "a b", ".a", "a.", "*", ">", "a\n"]) {
    await expect(bucket.get(key)).rejects.toMatchObject({ code: "INVALID_ID" });
  }
});

it("hears what is written", async () => {
  const heard: number[] = [];
  const watch = counts().watch("w.*", (value) => void heard.push(value));
  await fleet.flush();
  await counts().put("w.1", 5, 0);
  await until("it was heard", () => heard.length === 1);
  watch.unsubscribe();
  expect(heard).toEqual([5]);
});
