/** What old members made on the server before ours came, each as its author may have read the contract. */
import { once } from "node:events";
import { expect, it } from "vitest";
import type { RawNats } from "../../support/raw-nats.js";
import { until, untilHolds } from "../../support/until.js";
import { bodyOf, get, handIn, type Json, oldWorker, useStreet } from "./street.js";

const street = useStreet();
const queue = { subjects: ["baker.jobs.>"], retention: "workqueue", max_age: 86_400e9, max_msgs: 10_000 };

async function asked(nats: RawNats, api: string, request: unknown = ""): Promise<Json> {
  const text = request === "" ? "" : JSON.stringify(request);
  const answer = bodyOf(await nats.request(`$JS.API.${api}`, text));
  expect(answer["error"]).toBeUndefined();
  return answer;
}

const makeStream = (nats: RawNats, more: Json = {}): Promise<Json> =>
  asked(nats, "STREAM.CREATE.BAKER_JOBS", { name: "BAKER_JOBS", ...queue, ...more });

const makeConsumer = (nats: RawNats, name: string, config: Json): Promise<Json> =>
  asked(nats, `CONSUMER.DURABLE.CREATE.BAKER_JOBS.${name}`, {
    stream_name: "BAKER_JOBS",
    config: { durable_name: name, ack_policy: "explicit", ...config },
  });

const consumersOf = async (nats: RawNats): Promise<unknown> =>
  (await asked(nats, "CONSUMER.NAMES.BAKER_JOBS"))["consumers"];

it.each<[how: string, config: Json]>([
  ["delivers to a group", { deliver_subject: "old.deliver", deliver_group: "crew", max_deliver: 5 }],
  ["is pulled from", {}],
])("joins the consumer of jobs that an old worker made, by whatever name: one that %s", async (how, config) => {
  const jobId = `crew-${how.length}`;
  const nats = await street.raw();
  await makeStream(nats);
  await makeConsumer(nats, "old-crew", { filter_subject: "baker.jobs.dispatch", ...config });
  const results = nats.subscribe(`baker.jobs.result.${jobId}`);

  const brain = await street.brain();
  await street.worker("worker-1");
  await handIn(brain, { jobId, input: "shared" });

  expect(bodyOf(await results.first("the result"))).toMatchObject({ status: "completed", output: "shared" });
  expect(await consumersOf(nats)).toEqual(expect.not.arrayContaining(["workers"]));
});

it("does not join a consumer without a group, of which it would do every job again; a brain works beside it", async () => {
  const nats = await street.raw();
  await makeStream(nats);
  await makeConsumer(nats, "loner", { filter_subject: "baker.jobs.dispatch", deliver_subject: "old.loner" });
  const deliveries = nats.subscribe("old.loner");

  const worker = await street.process("worker", "worker-1");
  if (worker.process.exitCode === null) await once(worker.process, "exit");
  const brain = await street.brain();
  await handIn(brain, { jobId: "lone-1" });

  expect(worker.process.exitCode).toBe(1);
  expect(bodyOf(await deliveries.first("the job"))).toMatchObject({ jobId: "lone-1" });
  nats.publish("baker.jobs.result.lone-1", JSON.stringify({ jobId: "lone-1", status: "completed", output: 1 }));
  expect(await street.client.wait("dispatch-lone-1")).toMatchObject({ state: "completed", output: 1 });
});

it("joins again when the consumer that it shared is deleted, and loses no job", async () => {
  const nats = await street.raw();
  await makeStream(nats);
  await makeConsumer(nats, "old-crew", {
    filter_subject: "baker.jobs.dispatch",
    deliver_subject: "old.deliver",
    deliver_group: "crew",
  });
  await street.worker("worker-1");
  const results = nats.subscribe("baker.jobs.result.orphan-1");

  await asked(nats, "CONSUMER.DELETE.BAKER_JOBS.old-crew");
  nats.publish("baker.jobs.dispatch", JSON.stringify({ jobId: "orphan-1", input: "still here" }));

  expect(bodyOf(await results.first("the result"))).toMatchObject({ output: "still here" });
  expect((await oldWorker(nats)).deliveries.subject).toBe("deliver.baker.workers");
});

it.each([
  ["both", ["baker.jobs.status.>", "baker.jobs.result.>"]],
  ["results", ["baker.jobs.result.*"]],
])("takes nothing from an old brain whose consumer reads %s, and hears it all the same", async (what, filters) => {
  const nats = await street.raw();
  await makeStream(nats);
  const made = await makeConsumer(nats, "brain", { filter_subjects: filters, deliver_subject: "old.brain" });
  const read = nats.subscribe("old.brain");

  const brain = await street.brain();
  await street.worker("worker-1");
  await handIn(brain, { jobId: `heard-${what}`, input: 5 });
  const view = await untilHolds(
    "the job has ended",
    () => get(brain, `/jobs/heard-${what}`),
    ({ state }) => state === "completed",
  );

  expect(view).toMatchObject({ updates: [{ id: 1, body: { state: "accepted" } }], result: { output: 5 } });
  expect(await street.client.wait(`dispatch-heard-${what}`)).toMatchObject({ state: "completed", output: 5 });
  await until("the old brain has read the result", () => read.received.some((m) => bodyOf(m)["output"] === 5));
  expect((await asked(nats, "CONSUMER.INFO.BAKER_JOBS.brain"))["config"]).toEqual(made["config"]);
});

it("leaves alone what an operator set besides", async () => {
  const nats = await street.raw();
  const more = { discard: "new", description: "ours", duplicate_window: 60e9, max_bytes: 1e9, allow_direct: true };
  const made = await makeStream(nats, more);

  await street.brain();
  await street.worker("worker-1");

  expect((await asked(nats, "STREAM.INFO.BAKER_JOBS"))["config"]).toEqual(made["config"]);
});

it.each([
  ["larger than the engine takes", { jobId: "huge", input: "x".repeat(140_000) }, "JOB_TOO_LARGE"],
  ["of a type that is none", { job_id: "typed", type: "a\nb" }, "JOB_INVALID"],
  ["with a time that is none", { jobId: "timed", timeoutMs: "soon" }, "JOB_INVALID"],
])("tells whoever dispatched a job %s", async (_, job, type) => {
  await street.worker("worker-1");
  const nats = await street.raw();
  const jobId = "jobId" in job ? job.jobId : job.job_id;
  const results = nats.subscribe(`baker.jobs.result.${jobId}`);

  nats.publish("baker.jobs.dispatch", JSON.stringify(job));

  expect(bodyOf(await results.first("the result"))).toMatchObject({ jobId, status: "failed", error: { type } });
});

it("takes null for a field that is not there, and for no id", async () => {
  await street.worker("worker-1");
  const nats = await street.raw();
  const results = nats.subscribe("baker.jobs.result.*");
  const letters = nats.subscribe("mcp.deadletter.BAKER_JOBS.>");

  for (const jobId of [null, true, ["z"]]) nats.publish("baker.jobs.dispatch", JSON.stringify({ jobId }));
  const job = { jobId: null, id: "py-1", type: null, payload: 3, timeoutMs: null };
  nats.publish("baker.jobs.dispatch", JSON.stringify(job));

  expect(bodyOf(await results.first("the result"))).toMatchObject({ jobId: "py-1", status: "completed", output: 3 });
  await until(
    "three letters are kept",
    () => new Set(letters.received.map((one) => bodyOf(one)["sequence"])).size === 3,
  );
  expect(results.received).toHaveLength(1);
});
