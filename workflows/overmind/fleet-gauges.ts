/**
 * Streams and consumers as gauges, by the names of prometheus-nats-exporter, so that dashboards and alerts made for it
 * find them: https://github.com/nats-io/prometheus-nats-exporter. The leaders answer, hence the labels that say so.
 */
import { PerdureError } from "perdure";
import type { Fleet } from "perdure/bridges";
import type { Family, Sample } from "./exposition.js";
import { overmind } from "./topology.js";

type Streams = Awaited<ReturnType<typeof streamsOf>>;
type Consumers = Awaited<ReturnType<typeof consumersOf>>;

/** @throws PerdureError where the server does not answer: no figures are better than old ones */
export async function fleetGauges(fleet: Fleet): Promise<readonly Family[]> {
  const [streams, consumers] = await Promise.all([streamsOf(fleet), consumersOf(fleet)]);
  return [
    ofStreams(streams, "total_messages", "Messages in the stream.", ({ messages }) => messages),
    ofStreams(streams, "total_bytes", "Bytes in the stream.", ({ bytes }) => bytes),
    ofStreams(streams, "first_seq", "First sequence in the stream.", ({ firstSequence }) => firstSequence),
    ofStreams(streams, "last_seq", "Last sequence in the stream.", ({ lastSequence }) => lastSequence),
    ofConsumers(consumers, "num_pending", "Messages that were not delivered yet.", ({ pending }) => pending),
    ofConsumers(
      consumers,
      "num_ack_pending",
      "Messages delivered and not acknowledged.",
      ({ ackPending }) => ackPending,
    ),
    ofConsumers(
      consumers,
      "num_redelivered",
      "Of those, messages delivered more than once.",
      ({ redelivered }) => redelivered,
    ),
    ofConsumers(
      consumers,
      "delivered_stream_seq",
      "Sequence in the stream of the last message delivered.",
      ({ delivered }) => delivered.streamSequence,
    ),
    ofConsumers(
      consumers,
      "delivered_consumer_seq",
      "Messages delivered, each as often as it was.",
      ({ delivered }) => delivered.consumerSequence,
    ),
    ofConsumers(
      consumers,
      "ack_floor_stream_seq",
      "Sequence up to which everything is acknowledged.",
      ({ ackFloor }) => ackFloor.streamSequence,
    ),
  ];
}

function streamsOf(fleet: Fleet) {
  return ofThose(Object.keys(overmind.streams), async (stream) => ({
    labels: { stream_name: stream, is_stream_leader: "true" },
    state: await fleet.streamState(stream),
  }));
}

function consumersOf(fleet: Fleet) {
  return ofThose(Object.entries(overmind.consumers), async ([consumer, { stream }]) => ({
    labels: {
      stream_name: stream,
      is_stream_leader: "true",
      consumer_name: consumer,
      is_consumer_leader: "true",
    },
    state: await fleet.lag(stream, consumer),
  }));
}

/** Members make their consumers when they start: one that is not there yet has no series, and hides none. */
async function ofThose<Name, Asked>(names: readonly Name[], ask: (name: Name) => Promise<Asked>): Promise<Asked[]> {
  const asked = await Promise.all(
    names.map((name) =>
      ask(name).catch((fault: unknown) => {
        if (fault instanceof PerdureError && fault.code === "NOT_FOUND") return undefined;
        throw fault;
      }),
    ),
  );
  return asked.filter((one) => one !== undefined);
}

function ofStreams(
  streams: Streams,
  name: string,
  help: string,
  read: (state: Streams[number]["state"]) => number,
): Family {
  return gauge(
    `jetstream_stream_${name}`,
    help,
    streams.map(({ labels, state }) => ({ labels, value: read(state) })),
  );
}

function ofConsumers(
  consumers: Consumers,
  name: string,
  help: string,
  read: (state: Consumers[number]["state"]) => number,
): Family {
  return gauge(
    `jetstream_consumer_${name}`,
    help,
    consumers.map(({ labels, state }) => ({ labels, value: read(state) })),
  );
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { type: "gauge", name, help, samples };
}
