/**
 * Rules of a topology that hold between settings, and between entries. Most are the server's own, which would name one at
 * a time, when the first half is made; some it does not have and should.
 */
import { covers, overlap, subjectFault } from "./subject-pattern.js";
import { type Duration, durationMs } from "./time.js";
import type { ConsumerDeclaration, StreamDeclaration } from "./topology-declaration.js";

/** @param problem a sentence without its subject */
export type Report = (entry: string, problem: string) => void;

type Streams = ReadonlyMap<string, StreamDeclaration>;
type Consumers = ReadonlyMap<string, ConsumerDeclaration>;

/** What clients ask the server goes over these; a stream that took it would answer in its place, and is refused. */
const SERVER_SUBJECTS = ["$JS.>", "$SYS.>"];
/** What the server tells goes over these, and may be kept. */
const EVENT_SUBJECTS = ["$JS.EVENT.>", "$SYS.ACCOUNT.>"];

const takesRequests = (subject: string): boolean =>
  SERVER_SUBJECTS.some((own) => overlap(own, subject)) && !EVENT_SUBJECTS.some((events) => covers(events, subject));

export function holdStreams(streams: Streams, report: Report): void {
  const seen: { readonly stream: string; readonly subject: string }[] = [];
  for (const [stream, { subjects, maxAge, duplicateWindow }] of streams) {
    const entry = `stream ${stream}`;
    for (const subject of subjects) {
      const fault = subjectFault(subject, "allowed");
      if (fault !== null) {
        report(entry, `subject "${subject}" ${fault}`);
        continue;
      }
      if (takesRequests(subject)) {
        report(entry, `subject "${subject}" takes the server's own subjects too`);
      }
      for (const other of seen.filter((earlier) => overlap(earlier.subject, subject))) {
        const whose = other.stream === stream ? "of the same stream" : `of stream ${other.stream}`;
        report(entry, `subject "${subject}" overlaps "${other.subject}" ${whose}; a message is stored once`);
      }
      seen.push({ stream, subject });
    }
    if (maxAge !== undefined && (ms(duplicateWindow) ?? 0) > (ms(maxAge) ?? 0)) {
      report(entry, `duplicateWindow ${duplicateWindow} is longer than maxAge ${maxAge}; the server refuses that`);
    }
  }
}

const ms = (duration: Duration | undefined): number | null => (duration === undefined ? null : durationMs(duration));

export function holdConsumers(
  consumers: Consumers,
  streams: Streams,
  streamNames: readonly string[],
  report: Report,
): void {
  for (const [name, consumer] of consumers) {
    const reportHere = (problem: string): void => report(`consumer ${name}`, problem);
    const stream = streams.get(consumer.stream);
    if (!streamNames.includes(consumer.stream)) {
      reportHere(
        `stream "${consumer.stream}" is not declared; this topology declares ${streamNames.join(", ") || "none"}`,
      );
    }
    holdFilters(
      consumer,
      stream?.subjects.filter((subject) => subjectFault(subject, "allowed") === null),
      reportHere,
    );
    holdDelivery(consumer, reportHere);
    holdAcknowledgement(consumer, reportHere);
    if (stream?.retention === "workqueue") holdWorkQueueConsumer(consumer, reportHere);
  }
  holdDurables(consumers, report);
  holdWorkQueueFilters(consumers, streams, report);
}

/** A stream has one consumer of a name. */
function holdDurables(consumers: Consumers, report: Report): void {
  const keyOf = new Map<string, string>();
  for (const [key, { stream, durable = key }] of consumers) {
    const place = `${stream}/${durable}`;
    const earlier = keyOf.get(place);
    if (earlier === undefined) keyOf.set(place, key);
    else report(`consumer ${key}`, `is ${durable} of stream ${stream}, which consumer ${earlier} is already`);
  }
}

type Reporter = (problem: string) => void;

function holdFilters(
  { filterSubjects = [], stream }: ConsumerDeclaration,
  subjects: readonly string[] | undefined,
  report: Reporter,
): void {
  for (const [index, filter] of filterSubjects.entries()) {
    const fault = subjectFault(filter, "allowed");
    if (fault !== null) {
      report(`filter "${filter}" ${fault}`);
      continue;
    }
    // It may be wider than the stream's subjects. The server takes one that no message ever matches, and is silent.
    if (subjects !== undefined && !subjects.some((subject) => overlap(subject, filter))) {
      report(`filter "${filter}" is outside of stream ${stream}, which has ${subjects.join(", ")}`);
    }
    for (const other of filterSubjects.slice(0, index)) {
      if (overlap(other, filter)) report(`filters "${other}" and "${filter}" overlap`);
    }
  }
}

function holdDelivery({ deliverSubject, deliverGroup, maxBatch }: ConsumerDeclaration, report: Reporter): void {
  if (deliverSubject === undefined) {
    if (deliverGroup !== undefined) report("deliverGroup is for push consumers: give deliverSubject as well");
    return;
  }
  const fault = subjectFault(deliverSubject, "refused");
  if (fault !== null) report(`deliverSubject "${deliverSubject}" ${fault}`);
  if (deliverGroup !== undefined && subjectFault(deliverGroup, "refused") !== null) {
    report(`deliverGroup "${deliverGroup}" is no name of a queue group`);
  }
  if (maxBatch !== undefined) report("maxBatch is for pull consumers: leave it out, or deliverSubject");
}

function holdAcknowledgement(
  { ackPolicy = "explicit", ackWait, backoff, maxDeliver, maxAckPending }: ConsumerDeclaration,
  report: Reporter,
): void {
  if (ackPolicy === "none") {
    const idle = Object.entries({ ackWait, backoff, maxAckPending }).filter(([, value]) => value !== undefined);
    for (const [setting] of idle) report(`${setting} means nothing with ackPolicy none`);
  }
  if (backoff === undefined) return;
  if (maxDeliver !== undefined && backoff.length > maxDeliver) {
    report(`backoff has ${backoff.length} waits for ${maxDeliver} deliveries (maxDeliver)`);
  }
  if (ackWait !== undefined && ms(ackWait) !== ms(backoff[0])) {
    report(`ackWait ${ackWait} is not used beside backoff, whose first wait is ${backoff[0]}; leave it out`);
  }
}

function holdWorkQueueConsumer({ stream, ackPolicy, deliverPolicy }: ConsumerDeclaration, report: Reporter): void {
  if (ackPolicy !== undefined && ackPolicy !== "explicit") {
    report(`ackPolicy must be explicit on the work queue ${stream}`);
  }
  if (deliverPolicy !== undefined && deliverPolicy !== "all") {
    report(`deliverPolicy must be all on the work queue ${stream}`);
  }
}

/** A message of a work queue is one consumer's. */
function holdWorkQueueFilters(consumers: Consumers, streams: Streams, report: Report): void {
  const onQueues = [...consumers].filter(([, { stream }]) => streams.get(stream)?.retention === "workqueue");
  for (const [index, [name, { stream, filterSubjects = [">"] }]] of onQueues.entries()) {
    for (const [otherName, other] of onQueues.slice(0, index)) {
      if (other.stream !== stream) continue;
      const shared = filterSubjects.find((filter) =>
        (other.filterSubjects ?? [">"]).some((theirs) => overlap(theirs, filter)),
      );
      if (shared === undefined) continue;
      report(
        `consumer ${name}`,
        `takes messages on "${shared}" that consumer ${otherName} takes too; on the work queue ${stream} each message is one consumer's`,
      );
    }
  }
}
