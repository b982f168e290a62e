/** What the server says of the stream and its consumers, against the fleet's contract. */
import { expect, it } from "vitest";
import { bodyOf, useStreet } from "./street.js";

const street = useStreet();
const nanos = 1_000_000_000;

it("has the stream and the workers' consumer as the contract says", async () => {
  await street.brain();
  const nats = await street.raw();

  const stream = bodyOf(await nats.request("$JS.API.STREAM.INFO.BAKER_JOBS", ""));
  const workers = bodyOf(await nats.request("$JS.API.CONSUMER.INFO.BAKER_JOBS.workers", ""));

  expect(stream["config"]).toMatchObject({
    name: "BAKER_JOBS",
    subjects: ["baker.jobs.>"],
    retention: "workqueue",
    storage: "file",
    num_replicas: 1,
    max_age: 24 * 3_600 * nanos,
    max_msgs: 10_000,
  });
  expect(workers["config"]).toMatchObject({
    durable_name: "workers",
    filter_subject: "baker.jobs.dispatch",
    ack_policy: "explicit",
    deliver_group: "workers",
    deliver_subject: "deliver.baker.workers",
    deliver_policy: "all",
  });
});

it("leaves status and result to the old brain where only workers are ours", async () => {
  await street.worker("worker-1");
  const nats = await street.raw();

  const config = { durable_name: "old-brain", ack_policy: "explicit", filter_subject: "baker.jobs.result.>" };
  const subject = "$JS.API.CONSUMER.DURABLE.CREATE.BAKER_JOBS.old-brain";
  const answer = bodyOf(await nats.request(subject, JSON.stringify({ stream_name: "BAKER_JOBS", config })));

  expect(answer).not.toHaveProperty("error");
});

it("joins the consumer that an old fleet has made, as it is", async () => {
  const nats = await street.raw();
  const settings = {
    subjects: ["baker.jobs.>"],
    retention: "workqueue",
    max_age: 24 * 3_600 * nanos,
    max_msgs: 10_000,
  };
  await nats.request("$JS.API.STREAM.CREATE.BAKER_JOBS", JSON.stringify({ name: "BAKER_JOBS", ...settings }));
  const theirs = { deliver_group: "workers", deliver_subject: "_INBOX.old.workers", ack_wait: 60 * nanos };
  const config = { durable_name: "workers", ack_policy: "explicit", filter_subject: "baker.jobs.dispatch", ...theirs };
  const made = JSON.stringify({ stream_name: "BAKER_JOBS", config });
  await nats.request("$JS.API.CONSUMER.DURABLE.CREATE.BAKER_JOBS.workers", made);
  const results = nats.subscribe("baker.jobs.result.*");

  await street.brain();
  await street.worker("worker-1");
  nats.publish("baker.jobs.dispatch", JSON.stringify({ jobId: "joined", input: 1 }));

  expect(bodyOf(await results.first("the result"))).toMatchObject({ jobId: "joined", status: "completed" });
  const workers = bodyOf(await nats.request("$JS.API.CONSUMER.INFO.BAKER_JOBS.workers", ""));
  expect(workers["config"]).toMatchObject(theirs);
});

it("starts again on what is there, and as worker beside brain", async () => {
  await street.brain();
  await street.worker("worker-1");
  await street.worker("worker-2");
  const nats = await street.raw();

  const names = bodyOf(await nats.request("$JS.API.CONSUMER.NAMES.BAKER_JOBS", ""));

  expect(names["consumers"]).toEqual(expect.arrayContaining(["workers", "perdure-brain"]));
});
