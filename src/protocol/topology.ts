import type { Namespace } from "./ids.js";
import { subjectsOf } from "./subjects.js";

/** Every stream and bucket of the engine as data; `jetstream/provision.ts` makes the server match it. */

export interface StreamTopology {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly description: string;
  /**
   * `async` lets the server acknowledge before the disk has it (R1 only): for messages whose loss costs a repeated
   * attempt and nothing more. `default` is fsync before the acknowledgement where the server is set to it.
   */
  readonly persistence: "default" | "async";
}

export interface BucketTopology {
  /** Name of the KV bucket, as `nats kv` takes it. */
  readonly bucket: string;
  readonly description: string;
}

export interface Topology {
  /** The commit log: one subject, one writer, the truth. Trimmed behind the checkpoint, never emptied by age. */
  readonly journal: StreamTopology;
  /** Results handed in by agents, also while no orchestrator listens; purged behind the checkpoint. */
  readonly results: StreamTopology;
  /** Live tasks, and ended ones that live tasks depend on. Key: taskId. */
  readonly tasks: BucketTopology;
  /** Ended tasks; each expires by itself at the end of its retention. Key: taskId. */
  readonly endedTasks: BucketTopology;
  /** Open runs of workflows. Key: workflowId. */
  readonly runs: BucketTopology;
  /** Histories of runs, in chunks; those of closed runs expire by themselves. Key: `<runId>.<first event>`. */
  readonly histories: BucketTopology;
  /** Agents; lost and departed ones expire by themselves. Key: agentId. */
  readonly agents: BucketTopology;
  /** The leader's lease and the checkpoint. Keys: META_KEYS. */
  readonly meta: BucketTopology;
}

/** Key of each bucket whose revision is the fence between an old leader and a new one. */
export const FENCE_KEY = "_fence";
export const META_KEYS = { leader: "leader", checkpoint: "checkpoint" } as const;

export function topologyOf(namespace: Namespace): Topology {
  const subjects = subjectsOf(namespace);
  const upper = namespace.toUpperCase();
  return {
    journal: {
      name: `${upper}_JOURNAL`,
      subjects: [subjects.journal],
      description: "Perdure: every state change, in order. Written by the leading orchestrator only.",
      persistence: "default",
    },
    results: {
      name: `${upper}_RESULTS`,
      subjects: [subjects.allResults],
      description: "Perdure: results handed in by agents, until the journal holds them.",
      persistence: "async",
    },
    tasks: { bucket: `${namespace}_tasks`, description: "Perdure: unfinished tasks." },
    endedTasks: {
      bucket: `${namespace}_tasks_ended`,
      description: "Perdure: ended tasks, until their retention is over.",
    },
    runs: { bucket: `${namespace}_runs`, description: "Perdure: open runs of workflows." },
    histories: { bucket: `${namespace}_histories`, description: "Perdure: what happened in each run, in order." },
    agents: { bucket: `${namespace}_agents`, description: "Perdure: registered agents." },
    meta: { bucket: `${namespace}_meta`, description: "Perdure: the leader's lease and the checkpoint." },
  };
}
