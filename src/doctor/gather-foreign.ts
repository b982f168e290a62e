/** Streams of others, and other namespaces of ours, on the same account. */
import { allKeysOf } from "../jetstream/bucket-names.js";
import { type Inspector, type Known, known } from "../jetstream/inspector.js";
import { type StreamFacts, streamsOn } from "../jetstream/stream-facts.js";
import { ownStreams } from "../jetstream/stream-settings.js";
import type { Namespace } from "../protocol/ids.js";
import { ALL_JOURNALS, namespaceOfJournal, subjectsOf } from "../protocol/subjects.js";
import { topologyOf } from "../protocol/topology.js";

/** Streams that take messages of the namespace or of its buckets and are none of ours, each once. */
export async function foreignStreams(
  inspector: Inspector,
  namespace: Namespace,
): Promise<Known<readonly StreamFacts[]>> {
  const topology = topologyOf(namespace);
  const buckets = Object.values(topology).flatMap((entry) => ("bucket" in entry ? [allKeysOf(entry.bucket)] : []));
  const own = new Set(ownStreams(topology).map(({ name }) => name));
  const found = new Map<string, StreamFacts>();
  for (const answer of await Promise.all(
    [subjectsOf(namespace).all, ...buckets].map((pattern) => streamsOn(inspector, pattern)),
  )) {
    if (!answer.known) return answer;
    for (const stream of answer.value) if (!own.has(stream.name)) found.set(stream.name, stream);
  }
  return known([...found.values()]);
}

export async function otherNamespaces(inspector: Inspector, namespace: Namespace): Promise<Known<readonly string[]>> {
  const journals = await streamsOn(inspector, ALL_JOURNALS);
  if (!journals.known) return journals;
  const namespaces = journals.value.flatMap(({ subjects }) => subjects.flatMap((one) => namespaceOfJournal(one) ?? []));
  return known([...new Set(namespaces)].filter((other) => other !== namespace));
}
