/** Are our streams and buckets there, led, with the settings they must have, and read by nobody who should not? */

import type { OwnStreamFacts, StreamFacts } from "../../jetstream/stream-facts.js";
import type { Drift } from "../../jetstream/stream-settings.js";
import { FLUSH_BYTES_MAX } from "../../protocol/limits.js";
import type { Facts } from "../facts.js";
import type { Notes } from "../finding.js";
import { leadersOf } from "../leaders.js";

/** A leader's own, that of one who takes over, and those of people who look. */
const CONSUMERS_MIN = 4;
/** Messages; a follower that works is behind by what is under way. */
const LAG_MAX = 1_000;

export function checkStreams(facts: Facts, notes: Notes): void {
  const { streams, dial } = facts;
  for (const one of streams) {
    // Of a server that fell silent altogether, this says nothing.
    const isSilent = !one.stream.known && one.stream.reason === "silent" && dial.interruption === null;
    if (isSilent) reportNoLeader(one.name, notes);
    else notes.need(one.stream);
  }
  checkPresence(facts, notes);
  for (const { name, stream, drift } of streams) {
    if (!stream.known || stream.value === null) continue;
    for (const drifted of drift) reportDrift(name, drifted, notes);
    checkLimits(stream.value, notes);
    checkReplicas(stream.value, notes);
  }
  compareReplicas(streams, notes);
  checkConsumers(facts, notes);
}

function checkPresence(facts: Facts, notes: Notes): void {
  const { streams, namespace } = facts;
  const present = streams.flatMap(({ stream }) => (stream.known && stream.value !== null ? [stream.value.name] : []));
  const absent = streams.flatMap(({ name, stream }) => (stream.known && stream.value === null ? [name] : []));
  if (present.length > 0) notes.see(`${present.length} of ${streams.length} streams are there`);
  if (absent.length === 0) return;
  const leaders = leadersOf(facts);
  if (present.length === 0 && leaders.known && leaders.value.length === 0) {
    // An orchestrator makes them when it starts, and that there is none is found elsewhere.
    notes.see(`namespace ${namespace} has no streams: no orchestrator has ever started in it on this account`);
    return;
  }
  notes.find(
    "streams/missing",
    `Deleted, or never made: ${absent.join(", ")}.`,
    "Stop the orchestrators and restore the store from a copy (docs/operations.md). If nothing of what these held is needed: an orchestrator's start makes them anew, empty; but for the bucket of tasks, which it refuses to start without and you make yourself (`nats kv add`).",
    { streams: absent },
  );
}

const show = (value: unknown): string => JSON.stringify(value) ?? "nothing";

function reportDrift(stream: string, { setting, found, wanted, mended }: Drift, notes: Notes): void {
  const summary = `${stream} has ${setting} ${show(found)}, and Perdure needs ${show(wanted)}.`;
  const details = { stream, setting, found, wanted };
  if (mended === "atStart") {
    const advice =
      "Restart the leading orchestrator: it puts this setting right when it starts. Find out who changed it.";
    notes.find("streams/drift", summary, advice, details);
    return;
  }
  const byHand =
    mended === "byHand"
      ? `Put it right by hand (\`nats stream edit ${stream}\`) if this is Perdure's stream, whose description begins with its name; nothing in it is lost by that. If it is somebody else's: use`
      : "This setting cannot be taken back. Use";
  notes.find(
    "streams/drift-for-good",
    summary,
    `No orchestrator starts on it. ${byHand} another namespace; or back the stream up and delete it (\`nats stream rm ${stream}\`) if nobody needs what it holds.`,
    details,
  );
}

function checkLimits({ name, messageBytesMax, consumersMax, subjects }: StreamFacts, notes: Notes): void {
  if (messageBytesMax >= 0 && messageBytesMax < FLUSH_BYTES_MAX) {
    notes.find(
      "streams/message-limit",
      `${name} takes messages of at most ${messageBytesMax} bytes, and Perdure may write ${FLUSH_BYTES_MAX}.`,
      `Lift the limit: \`nats stream edit ${name} --max-msg-size=-1\`. Until then large tasks and busy moments are refused.`,
      { stream: name, messageBytesMax, needed: FLUSH_BYTES_MAX },
    );
  }
  if (consumersMax >= 0 && consumersMax < CONSUMERS_MIN) {
    notes.find(
      "streams/consumer-limit",
      `${name} allows ${consumersMax} consumers; a leader and its successor need ${CONSUMERS_MIN} between them.`,
      `JetStream cannot change this limit. Back the stream up, delete it, and restore it without the limit (subjects: ${subjects.join(", ")}).`,
      { stream: name, consumersMax },
    );
  }
}

function reportNoLeader(name: string, notes: Notes): void {
  notes.find(
    "streams/no-leader",
    `${name} has no leader at the moment: nobody answers for it.`,
    "Bring back enough servers of the cluster; a leader is elected within seconds. With a single replica, its server has to come back.",
    { stream: name },
  );
}

function checkReplicas({ name, replicas, leader, followers }: StreamFacts, notes: Notes): void {
  if (replicas > 1 && leader === "") reportNoLeader(name, notes);
  const behind = followers.filter(({ isCurrent, isOffline, lag }) => isOffline || !isCurrent || lag > LAG_MAX);
  if (behind.length === 0) return;
  const described = behind.map(
    (one) => `${one.name} ${one.isOffline ? "is away" : `is behind by ${one.lag} messages`}`,
  );
  notes.find(
    "streams/replica-behind",
    `Of the ${replicas} copies of ${name}, ${behind.length} ${behind.length === 1 ? "is" : "are"} not up to date: ${described.join(", ")}.`,
    "Bring those servers back: with one more gone, nothing can be written.",
    { stream: name, followers: behind },
  );
}

function compareReplicas(streams: readonly OwnStreamFacts[], notes: Notes): void {
  const found = streams.flatMap(({ stream }) => (stream.known && stream.value !== null ? [stream.value] : []));
  const counts = [...new Set(found.map(({ replicas }) => replicas))];
  if (counts.length <= 1) return;
  const most = Math.max(...counts);
  const fewer = found.filter(({ replicas }) => replicas < most);
  notes.find(
    "streams/replicas-differ",
    `Some streams have ${most} replicas, and others fewer: ${fewer.map(({ name, replicas }) => `${name} ${replicas}`).join(", ")}.`,
    `Together they are as safe as the least safe one. Start the orchestrator with \`replicas: ${most}\`, which raises the rest.`,
    { most, fewer: fewer.map(({ name, replicas }) => ({ stream: name, replicas })) },
  );
}

function checkConsumers(facts: Facts, notes: Notes): void {
  const { streams, store } = facts;
  const { status } = facts.orchestrator;
  const leading = leadersOf(facts);
  for (const { name, consumers } of streams) {
    if (!consumers.known) continue;
    const foreign = consumers.value.filter(({ maker }) => maker === "others");
    if (foreign.length > 0) {
      const names = foreign.map((consumer) => consumer.name);
      notes.find(
        "streams/foreign-consumer",
        `${name} has ${foreign.length === 1 ? "a consumer" : "consumers"} that Perdure did not make: ${names.join(", ")}.`,
        `They cannot take anything away, but the server keeps count for each. If nobody uses them: \`nats consumer rm ${name} ${names[0]}\`.`,
        { stream: name, consumers: names },
      );
    }
    // The reader of one that does not answer is its own.
    if (name !== store.resultsName || !leading.known || (!status.known && status.reason === "silent")) continue;
    const readers = consumers.value.filter(({ maker, isRead }) => maker === "ours" && isRead).length;
    const leaders = leading.value.length;
    if (readers <= leaders) continue;
    notes.find(
      "streams/reader-left-over",
      `${readers} readers are at ${name}, and ${leaders} ${leaders === 1 ? "orchestrator leads" : "orchestrators lead"}.`,
      "An orchestrator that lost the lead reads on, or is paused in the middle of it. If this stays, restart the orchestrator that does not lead.",
      { stream: name, readers, leaders },
    );
  }
}
