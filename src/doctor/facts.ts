/**
 * Everything that is found out about a set-up, as data: gather.ts and its neighbours ask, the checks judge. A fact that
 * could not be had says why; a check that needs it then says that it was skipped, and why.
 */
import type { ConnectFault } from "../jetstream/connect-fault.js";
import type { Known, Timed } from "../jetstream/inspector.js";
import type { AccountConnections, AccountFacts, Greeting, ServiceFacts } from "../jetstream/server-facts.js";
import type { OwnStreamFacts, StreamFacts } from "../jetstream/stream-facts.js";
import type { Checkpoint } from "../protocol/fact.js";
import type { AgentId, Namespace, TaskId } from "../protocol/ids.js";
import type { HealthMessage, SystemStatusReply } from "../protocol/system-message.js";
import type { TaskListReply } from "../protocol/task-message.js";

export interface Facts {
  readonly namespace: Namespace;
  /** Of this package. */
  readonly ownVersion: string;
  /** When the looking began, epoch milliseconds of this machine's clock. */
  readonly startedAt: number;
  readonly dial: DialFacts;
  readonly server: Known<Greeting>;
  /** Of a ping, milliseconds. */
  readonly roundTripMs: Known<number>;
  readonly deniedSubjects: readonly string[];
  readonly accountName: Known<string>;
  readonly account: Known<AccountFacts>;
  readonly streams: readonly OwnStreamFacts[];
  /** Streams of others that take what is published to our subjects or keys. */
  readonly foreignStreams: Known<readonly StreamFacts[]>;
  /** Other namespaces of this account, by their journals. */
  readonly otherNamespaces: Known<readonly string[]>;
  readonly store: StoreFacts;
  readonly orchestrator: OrchestratorFacts;
  readonly observed: ObservedFacts;
  readonly host: HostFacts;
}

/** One address of the list that was given, as the network has it. */
export interface ServerProbe {
  /** Without credentials. */
  readonly url: string;
  readonly outcome: "greeted" | "nameUnknown" | "refused" | "unreachable" | "silent" | "closed" | "notNats";
  /** In the other side's words, or the network's; empty where there are none. */
  readonly said: string;
  /** Of a server that greeted. */
  readonly wants: readonly ("credentials" | "tls")[];
}

export interface DialFacts {
  readonly probes: readonly ServerProbe[];
  readonly connected: { readonly url: string } | { readonly fault: ConnectFault; readonly said: string };
  /** What ended the looking early; null if nothing did. */
  readonly interruption: "lost" | "silent" | null;
}

export interface StoreFacts {
  readonly journalName: string;
  readonly resultsName: string;
  readonly metaBucket: string;
  readonly lease: Known<LeaseFacts | null>;
  /** Read before the journal's stream was looked at. */
  readonly checkpointBefore: Known<CheckpointFacts>;
  readonly journalStream: Known<StreamFacts | null>;
  /** Read afterwards. */
  readonly checkpoint: Known<CheckpointFacts>;
  readonly journal: Known<JournalFacts>;
  readonly records: readonly RecordsFacts[];
}

export interface LeaseFacts {
  /** Null where it cannot be read as ours. */
  readonly holder: { readonly host: string; readonly pid: number; readonly isGone: boolean } | null;
  /** By the server's clock, epoch milliseconds. */
  readonly storedAt: number;
  /** The server forgets it by itself if it is not renewed. */
  readonly expires: boolean;
}

export type CheckpointFacts =
  | { readonly state: "missing" }
  | { readonly state: "unreadable"; readonly why: string }
  | { readonly state: "read"; readonly checkpoint: Checkpoint };

/** What a new leader would read of the journal: everything behind the checkpoint, or as much of it as was looked at. */
export interface JournalFacts {
  readonly lookedAt: number;
  readonly unreadable: readonly { readonly sequence: number; readonly why: string }[];
  /** Ids that facts behind the checkpoint speak of. */
  readonly tasks: ReadonlySet<TaskId>;
  /** Whether all of it was looked at. */
  readonly extent: "whole" | "part";
}

/** A bucket of records, read as a new leader would. */
export interface RecordsFacts {
  readonly bucket: string;
  readonly kind: "tasks" | "agents" | "runs";
  readonly read: Known<{
    readonly count: number;
    readonly extent: "whole" | "part";
    readonly unreadable: readonly { readonly key: string; readonly why: string }[];
    /** A record that stands at a flush which the journal does not have. */
    readonly ahead: { readonly key: string; readonly sequence: number } | null;
    readonly keys: ReadonlySet<string>;
  }>;
}

export interface OrchestratorFacts {
  readonly services: Known<readonly ServiceFacts[]>;
  readonly requests: readonly RequestFacts[];
  readonly connections: Known<AccountConnections>;
  readonly status: Known<Timed<SystemStatusReply>>;
  /** Asked again at the end. */
  readonly statusLater: Known<SystemStatusReply>;
  readonly health: Known<HealthMessage>;
  /** Unfinished ones. */
  readonly tasks: Known<TaskListReply>;
  readonly tasksLater: Known<TaskListReply>;
  /** Waiting tasks, with a dependency that the orchestrator does not know. */
  readonly orphans: Known<readonly { readonly taskId: TaskId; readonly dependency: TaskId }[]>;
  /** Of live tasks without a record, those that have none at a second look either. */
  readonly unrecorded: Known<readonly TaskId[]>;
}

/** What came back on one request subject for a question that changes nothing. */
export interface RequestFacts {
  readonly subject: string;
  readonly answers: Known<readonly AnswerFacts[]>;
}

export type AnswerFacts =
  | { readonly from: "orchestrator" }
  | { readonly from: "stream"; readonly stream: string }
  | { readonly from: "stranger"; readonly text: string };

/** What was heard while looking. */
export interface ObservedFacts {
  readonly durationMs: number;
  readonly heartbeats: Known<readonly HeartbeatFacts[]>;
  /** How often each agent registered. */
  readonly registrations: Known<ReadonlyMap<AgentId, number>>;
}

export interface HeartbeatFacts {
  /** As its subject says; null for a subject that names no agent. */
  readonly agentId: AgentId | null;
  /** Why the orchestrator does not take it; null if it does. */
  readonly fault: string | null;
  /** The agent's clock minus ours when it arrived, milliseconds. */
  readonly offsetMs: number | null;
}

export interface HostFacts {
  readonly monitoring: Known<MonitoringFacts>;
  /** `jetstream.max_file` of the server; 0 or less is none. */
  readonly storageBytesMax: Known<number>;
  /** `jetstream.sync_interval` of the server. */
  readonly sync: Known<"always" | "interval">;
  readonly store: Known<StoreFolderFacts>;
}

/** From the server's monitoring port. */
export interface MonitoringFacts {
  readonly url: string;
  readonly health: { readonly isOk: boolean; readonly said: string };
  /** Null where JetStream is off. */
  readonly stored: { readonly storageBytes: number; readonly reservedBytes: number } | null;
}

export type StoreFolderFacts =
  | { readonly path: string; readonly state: "missing" }
  | { readonly path: string; readonly state: "there"; readonly freeBytes: number; readonly totalBytes: number };
