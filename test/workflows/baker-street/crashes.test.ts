/** Members killed with kill -9, as processes from the build (`npm run build`). */
import { once } from "node:events";
import { expect, it } from "vitest";
import { until } from "../../support/until.js";
import { bodyOf, get, handIn, oldWorker, useStreet } from "./street.js";

const street = useStreet();
const tenIds = (prefix: string): readonly string[] => Array.from({ length: 10 }, (_, index) => `${prefix}-${index}`);

it("gives a killed worker's jobs to another one, which goes on with them, and each ends once", async () => {
  const ids = tenIds("worker");
  const brain = await street.brain();
  const nats = await street.raw();
  const results = nats.subscribe("baker.jobs.result.*");
  let called = 0;
  const release = new AbortController();
  await street.extension("slow", {
    slow: async (input) => {
      called += 1;
      if (!release.signal.aborted) await once(release.signal, "abort");
      return input;
    },
  });
  const victim = await street.process("worker", "worker-1");
  for (const jobId of ids) await handIn(brain, { jobId, type: "slow", input: jobId });
  await until("all of them are under way", () => called === ids.length);

  await victim.kill();
  await street.worker("worker-2");
  release.abort();

  for (const jobId of ids) {
    expect(await street.client.wait(`dispatch-${jobId}`)).toMatchObject({ state: "completed", output: jobId });
    expect(await street.client.get(`job-${jobId}`)).toMatchObject({ state: "completed", run: { attempt: 1 } });
  }
  expect(called).toBe(ids.length);
  await until("the queue holds nothing any more", async () => {
    const info = bodyOf(await nats.request("$JS.API.STREAM.INFO.BAKER_JOBS", ""));
    return (info["state"] as { messages: number }).messages === 0;
  });
  expect(results.received.map((result) => bodyOf(result)["worker"])).toEqual(ids.map(() => "worker-2"));
});

it("takes over from a brain that was killed: nothing is dispatched twice, nothing that was said is lost", async () => {
  const ids = tenIds("brain");
  const blue = await street.process("brain", "blue");
  const blueUrl = blue.ready[1] ?? "";
  await until("blue is active", async () => (await get({ url: blueUrl }, "/health"))["role"] === "active");
  const nats = await street.raw();
  const worker = await oldWorker(nats);
  for (const jobId of ids) await handIn({ url: blueUrl }, { jobId, type: "deduce" });
  await until("each was dispatched", () => worker.dispatched().length === ids.length);
  const say = (jobId: unknown, what: string, body: unknown): void =>
    nats.publish(`baker.jobs.${what}.${String(jobId)}`, JSON.stringify({ jobId, ...(body as object) }));

  await blue.kill();
  for (const delivery of worker.deliveries.received) {
    const { jobId } = bodyOf(delivery);
    say(jobId, "status", { state: "said while nobody was active" });
    say(jobId, "result", { status: "completed", output: "elementary" });
    worker.acknowledge(delivery.reply);
  }
  const green = await street.brain("green");

  for (const jobId of ids) {
    expect(await street.client.wait(`dispatch-${jobId}`)).toMatchObject({ output: "elementary" });
    expect(await get(green, `/jobs/${jobId}`)).toMatchObject({
      state: "completed",
      updates: [{ id: 1, body: { state: "said while nobody was active" } }],
    });
  }
  expect(worker.dispatched()).toEqual(ids);
});
