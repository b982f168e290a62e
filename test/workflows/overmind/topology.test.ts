/** Every setting of every stream and consumer, as the server reports it to a member that is not ours. */
import { connectFleet } from "perdure/bridges";
import { expect, it, onTestFinished } from "vitest";
import { overmind } from "../../../workflows/overmind/topology.js";
import { captureLog } from "../../support/log-lines.js";
import { useNats } from "../../support/nats.js";
import { OldMember } from "./old-member.js";

const nats = useNats();

const seconds = (count: number): number => count * 1e9;
const days = (count: number): number => seconds(count * 24 * 60 * 60);

const streams = {
  "routing-decisions": { subjects: ["routing.>"], max_age: days(7), max_bytes: 1_073_741_824 },
  "memory-events": {
    subjects: ["memory.added", "memory.consolidated", "memory.retrieved", "memory.expired"],
    max_age: days(30),
    max_bytes: 5_368_709_120,
  },
  "llm-requests": {
    subjects: ["llm.request.started", "llm.request.completed", "llm.request.failed"],
    max_age: days(1),
    max_bytes: 524_288_000,
  },
};
const consumers = {
  "routing-decisions": {
    "api-consumer": { filter_subject: "routing.>", max_deliver: 3, ack_wait: seconds(30) },
    "analytics-consumer": {
      filter_subject: "routing.>",
      max_deliver: 5,
      ack_wait: seconds(60),
    },
  },
  "memory-events": {
    "consolidation-consumer": { filter_subject: "memory.consolidated", max_deliver: 3, ack_wait: seconds(120) },
  },
  "llm-requests": { "metrics-consumer": { filter_subject: "llm.>", max_deliver: 3, ack_wait: seconds(30) } },
};

it("is on the server as the platform's members expect it, with one replica on a single server, and says so", async () => {
  const log = captureLog();
  const join = () => connectFleet({ servers: nats.url, name: "overmind", topology: overmind, logger: log.logger });
  const first = await join();
  onTestFinished(() => first.close());
  await using old = await OldMember.connect(nats.url);

  for (const [stream, expected] of Object.entries(streams)) {
    expect(await old.streamConfig(stream)).toMatchObject({
      name: stream,
      retention: "limits",
      storage: "file",
      discard: "old",
      num_replicas: 1,
      ...expected,
    });
  }
  for (const [stream, expectedOnes] of Object.entries(consumers)) {
    for (const [consumer, expected] of Object.entries(expectedOnes)) {
      expect((await old.consumer(stream, consumer))["config"]).toMatchObject({
        durable_name: consumer,
        ack_policy: "explicit",
        deliver_policy: "all",
        ...expected,
      });
    }
  }
  expect(log.messages.filter((message) => message.includes("replica"))).toHaveLength(3);
  expect(Object.values(overmind.streams).map(({ replicas }) => replicas)).toEqual([3, 3, 3]);

  const before = await Promise.all(Object.keys(streams).map((stream) => old.streamConfig(stream)));
  const second = await join();
  onTestFinished(() => second.close());
  const after = await Promise.all(Object.keys(streams).map((stream) => old.streamConfig(stream)));
  expect(after).toEqual(before);
});
