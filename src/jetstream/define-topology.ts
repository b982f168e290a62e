import { PerdureError } from "../errors.js";
import {
  type BucketDeclaration,
  type ConsumerDeclaration,
  type DeclaredTopology,
  readTopology,
  type StreamDeclaration,
} from "../protocol/topology-declaration.js";

/** What `defineTopology` takes; each part may be left out. */
export interface TopologyDeclaration<
  StreamName extends string = string,
  ConsumerName extends string = string,
  BucketName extends string = string,
> {
  readonly streams?: Readonly<Record<StreamName, StreamDeclaration>>;
  readonly consumers?: Readonly<Record<ConsumerName, ConsumerDeclaration<NoInfer<StreamName>>>>;
  readonly buckets?: Readonly<Record<BucketName, BucketDeclaration>>;
}

/**
 * Declares the streams, consumers and KV buckets of a system, by the names and settings they must have on the server;
 * docs/topology.md has every setting. Asks no server: `perdure topology` compares and applies it.
 * @throws PerdureError INVALID_TOPOLOGY that names everything that is wrong, in `details.problems` as well
 */
export function defineTopology<
  const StreamName extends string = never,
  const ConsumerName extends string = never,
  const BucketName extends string = never,
>(
  name: string,
  declaration: TopologyDeclaration<StreamName, ConsumerName, BucketName>,
): DeclaredTopology<StreamName, ConsumerName, BucketName>;
export function defineTopology(name: string, declaration: TopologyDeclaration): DeclaredTopology {
  return topologyFrom(name, declaration);
}

/** The same of something that was read: a file, say. */
export function topologyFrom(name: unknown, declaration: unknown): DeclaredTopology {
  const read = readTopology(name, declaration);
  if (read.ok) return read.topology;
  const { problems } = read;
  const [count, them] = problems.length === 1 ? ["one problem", "it"] : [`${problems.length} problems`, "them"];
  const listed = problems.map(({ entry, problem }) => `${entry}: ${problem}`).join("; ");
  throw new PerdureError(
    "INVALID_TOPOLOGY",
    `Topology "${String(name)}" has ${count} and cannot be used: ${listed}. Mend ${them} in the declaration; no server was asked.`,
    { details: { topology: name, problems } },
  );
}
