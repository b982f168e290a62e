/** What a change of a stream would make disappear, in sentences for whoever has to decide. */
import type { ConsumerInfo, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { covers } from "../protocol/subject-pattern.js";
import { nanosFromMs } from "../protocol/time.js";
import type { StreamFields } from "./declared-settings.js";

/** Settings that the server changes in no other way than by a new stream or consumer of the name. */
export function lastingOf(found: StreamConfig, { storage, retention }: StreamFields): readonly string[] {
  const isQueueChange = retention !== found.retention && (retention === "workqueue" || found.retention === "workqueue");
  return [...(storage === found.storage ? [] : ["storage"]), ...(isQueueChange ? ["retention"] : [])];
}

/** Of a stream that is deleted and made again. What comes in meanwhile is lost too, so none is too empty to say so. */
export function lossOfStream({ state }: StreamInfo, lasting: readonly string[]): string {
  return `${lasting.join(" and ")} cannot be changed, so the stream would be deleted and made again: its ${state.messages} messages (${state.bytes} bytes), what is published meanwhile, and where its ${state.consumer_count} consumers stand would be lost`;
}

/** Of a consumer that is deleted and made again. */
export function lossOfConsumer(found: ConsumerInfo, lasting: readonly string[]): string {
  return `${lasting.join(" and ")} cannot be changed, so the consumer would be deleted and made again: where it stands would be lost (acknowledged up to stream sequence ${found.ack_floor.stream_seq}, ${found.num_ack_pending} delivered and not acknowledged, ${found.num_pending} to come)`;
}

/** Of a stream that is changed where it is; none is undefined. */
export function lossByUpdate(info: StreamInfo, wanted: StreamFields): string | undefined {
  const losses = [
    ...lostSubjects(info.config, wanted),
    ...lostByRetention(info, wanted),
    ...lostByAge(info, wanted),
    ...lostByLimits(info, wanted),
    ...lostByHistory(info, wanted),
  ];
  return losses.length === 0 ? undefined : losses.join("; ");
}

/** Stored messages stay; those to come find no stream, which a publisher without acknowledgement never learns. */
function lostSubjects(found: StreamConfig, { subjects }: StreamFields): readonly string[] {
  const dropped = found.subjects.filter((subject) => !subjects.some((wide) => covers(wide, subject)));
  return dropped.length === 0 ? [] : [`what is published on ${dropped.join(", ")} would be stored no more`];
}

function lostByRetention({ config, state }: StreamInfo, { retention }: StreamFields): readonly string[] {
  if (retention !== "interest" || config.retention === "interest" || state.messages === 0) return [];
  return [`of its ${state.messages} messages, those that no consumer waits for would be deleted`];
}

function lostByAge({ config, state, ts }: StreamInfo, { max_age: wanted }: StreamFields): readonly string[] {
  if (wanted === undefined || (config.max_age !== 0 && wanted >= config.max_age) || state.messages === 0) return [];
  // By the server's own clock. One that does not tell it has messages of any age.
  const oldestNanos = ts === undefined ? wanted : nanosFromMs(Date.parse(ts) - Date.parse(state.first_ts));
  if (oldestNanos < wanted) return [];
  return [`messages older than the new maxAge would be deleted; the oldest is of ${state.first_ts}`];
}

/** With discard `new` a full stream refuses what is new and keeps what it has. */
function lostByLimits({ config, state }: StreamInfo, wanted: StreamFields): readonly string[] {
  if ((wanted.discard ?? config.discard) !== "old") return [];
  const losses: string[] = [];
  // Limits that nobody declares are in force too, and a stream that refused what is new may be above them.
  const { max_msgs = config.max_msgs, max_bytes = config.max_bytes } = wanted;
  if (max_msgs !== -1 && max_msgs < state.messages) {
    losses.push(`${state.messages - max_msgs} of its ${state.messages} messages would be deleted (maxMessages)`);
  }
  if (max_bytes !== -1 && max_bytes < state.bytes) {
    losses.push(
      `it holds ${state.bytes} bytes, and the oldest messages above ${max_bytes} would be deleted (maxBytes)`,
    );
  }
  return losses;
}

/** How many values each key has is not asked: more values than keys is enough to be careful. */
function lostByHistory({ config, state }: StreamInfo, wanted: StreamFields): readonly string[] {
  const { max_msgs_per_subject: history } = wanted;
  const isLower =
    history !== undefined && (config.max_msgs_per_subject === -1 || history < config.max_msgs_per_subject);
  if (!isLower || state.messages <= (state.num_subjects ?? 0)) return [];
  return [`keys would keep their last ${history} values only`];
}
