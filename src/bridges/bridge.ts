/**
 * The declaration of a bridge: how a foreign fleet's requests become tasks of ours, its members agents of ours, and what
 * workflows of ours may say to it. Pure data and functions over messages; run-bridge.ts runs it.
 */
import type { NewTask } from "../client/submission.js";
import type { EndedTask } from "../client/task-outcome.js";
import { PerdureError } from "../errors.js";
import type { Usage } from "../protocol/failure.js";
import { MessageName } from "../protocol/ids.js";
import type { Priority } from "../protocol/priority.js";
import type { DeclaredTopology } from "../protocol/topology-declaration.js";
import { type TaskDefinition, task } from "../workflow/definition.js";
import type { Schema } from "../workflow/standard-schema.js";
import type { Outgoing } from "./outgoing.js";
import type { Received } from "./received.js";

/** Where messages come from: a durable consumer, or a plain subscription, which misses what is said while it is away. */
export type Source =
  | { readonly stream: string; readonly consumer: string }
  | { readonly subject: string; readonly queue?: string | undefined };

export type Screening =
  | { readonly verdict: "pass" }
  /** Never given to anybody; acknowledged when `publish` is out. */
  | { readonly verdict: "rejected"; readonly publish?: Outgoing | undefined };

export interface RequestedTask extends NewTask {
  /** W3C trace context of a span of the bridge's own. Default: that of the message. */
  readonly traceparent?: string | undefined;
}

interface RequestBasis<T> {
  readonly from: Source;
  readonly schema: Schema<unknown, T>;
  /** Looks at a message before anything else does. */
  screen?(body: T, message: Received<T>): Screening | Promise<Screening>;
  /**
   * What is submitted; undefined for what is none of ours, which is acknowledged. The same message must give the same task:
   * a message that is delivered again is recognised by its `taskId` and content (`taskIdOf` makes one of a foreign id).
   */
  task(body: T, message: Received<T>): RequestedTask | undefined;
  /** Messages in hand at a time; default 100. */
  readonly maxConcurrent?: number | undefined;
}

/** A foreign request that becomes a task, or a workflow, of ours. */
export type RequestRule<T> = RequestBasis<T> &
  (
    | {
        /** `onReceipt`: at most once. `onAccepted`: once our task is on disk; it goes on whatever becomes of the bridge. */
        readonly ack: "onReceipt" | "onAccepted";
      }
    | {
        /** Once the task has ended and its `outcome` is out. Until then the server is told that it is in hand. */
        readonly ack: "onEnded";
        /** What the fleet is told. A task that did not complete and has no outcome makes its request a dead letter. */
        outcome?(ended: EndedTask, body: T, message: Received<T>): Outgoing | readonly Outgoing[] | undefined;
      }
  );

/** A task of ours on its way to a member of the fleet. */
export interface MemberTask {
  readonly taskId: string;
  readonly type: string;
  readonly input: unknown;
  readonly attempt: number;
  readonly priority: Priority;
  /** Epoch milliseconds. */
  readonly deadlineAt: number | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly traceparent: string | undefined;
  /** The member it was assigned to. */
  readonly agentId: string;
}

export interface MemberDescription {
  readonly agentId: string;
  /** What tasks may require of it; also the types of tasks that it takes. */
  readonly capabilities: readonly string[];
  /** Default 1. */
  readonly maxConcurrentTasks?: number | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/** Members that say when they come and go. */
export interface AnnouncedMembers {
  readonly kind: "announced";
  readonly announce: Announcement<MemberDescription | undefined>;
  readonly heartbeat: Announcement<{
    readonly agentId: string;
    readonly metrics?: Readonly<Record<string, number>> | undefined;
  }>;
  readonly goodbye: Announcement<string>;
  /** Without a heartbeat for so long it is gone, and its tasks go to others. */
  readonly lostAfterMs: number;
}

export interface Announcement<R> {
  readonly subject: string;
  readonly schema: Schema;
  readonly read: (body: unknown) => R;
}

/** Reads a message of one schema into what the bridge wants to know. */
export function announcement<T, R>(subject: string, schema: Schema<unknown, T>, read: (body: T) => R): Announcement<R> {
  return { subject, schema, read: (body) => read(body as T) };
}

export interface StaticMember extends MemberDescription {
  readonly kind: "static";
}

export type MemberOutcome =
  | { readonly status: "completed"; readonly output?: unknown; readonly usage?: Usage | undefined }
  | {
      readonly status: "failed";
      readonly error: { readonly type: string; readonly message: string };
      readonly usage?: Usage | undefined;
    };

/**
 * Where answers come from. By subject: heard as they are published, and looked up in `stream` after a time of not hearing.
 * By consumer: acknowledged when a task of ours took it; what no task waits for is delivered again, up to the consumer's
 * limit, and then a dead letter: the limit must outlast a restart of the bridge.
 */
export type AnswerSource =
  | {
      /** Every answer is on one of these subjects; wildcards. */
      readonly all: string;
      /** Where the answer to one task is. */
      readonly subject: (foreignId: string) => string;
      readonly stream?: string | undefined;
    }
  | { readonly stream: string; readonly consumer: string };

/** A foreign member, or a whole fleet seen as one, that does tasks of ours. */
export interface MemberRule<R, S = unknown> {
  readonly presence: StaticMember | AnnouncedMembers;
  /** The id under which the fleet knows the task, and by which its answer is found. Default: the task's. */
  readonly foreignId?: ((task: MemberTask) => string) | undefined;
  /** How it is said to the fleet; undefined where somebody else has said it already and only the answer is awaited. */
  readonly request: (task: MemberTask, foreignId: string) => Outgoing | undefined;
  /**
   * What is done when the bridge was lost after it may have sent the request: `atLeastOnce` sends it again under the same
   * message id, `atMostOnce` only waits for the answer.
   */
  readonly delivery: "atMostOnce" | "atLeastOnce";
  /** How long the answer may take, milliseconds; then the task fails for good. Default: the task's own time-outs only. */
  readonly answerWithinMs?: ((task: MemberTask) => number | undefined) | undefined;
  readonly result: {
    readonly from: AnswerSource;
    readonly schema: Schema<unknown, R>;
    foreignId(body: R, subject: string): string;
    /** A failure of theirs is the task's last word: the fleet retries by its own rules. */
    outcome(body: R): MemberOutcome;
  };
  /** Live news of a task, which become its progress. */
  readonly status?:
    | {
        readonly subject: string;
        readonly schema: Schema<unknown, S>;
        foreignId(body: S, subject: string): string;
        progress(body: S): unknown;
      }
    | undefined;
  /** What the fleet is told when the task is cancelled. */
  readonly cancel?: ((task: MemberTask, foreignId: string) => Outgoing) | undefined;
}

/** Something that workflows of ours say to the fleet. */
export interface PublicationRule<T> {
  readonly schema: Schema<unknown, T>;
  to(body: T): Outgoing;
}

/**
 * Rules of any message types. What they do with a body is declared as methods, so that a rule for one message is a rule
 * for unknown ones: none of them is ever given a body that its own schema has not passed.
 */
export type AnyRequest = RequestRule<unknown>;
export type AnyMember = MemberRule<unknown>;
export type AnyPublication = PublicationRule<unknown>;

export const request = <T>(rule: RequestRule<T>): RequestRule<T> => rule;
export const member = <R, S = unknown>(rule: MemberRule<R, S>): MemberRule<R, S> => rule;
export const publication = <T>(rule: PublicationRule<T>): PublicationRule<T> => rule;
export const staticMember = (description: MemberDescription): StaticMember => ({ kind: "static", ...description });
export const announcedMembers = (rule: Omit<AnnouncedMembers, "kind">): AnnouncedMembers => ({
  kind: "announced",
  ...rule,
});

export interface BridgeDeclaration {
  /** Made, or held against the server, when the bridge starts. */
  readonly topology?: DeclaredTopology | undefined;
  readonly requests?: Readonly<Record<string, AnyRequest>>;
  readonly members?: Readonly<Record<string, AnyMember>>;
  readonly publications?: Readonly<Record<string, AnyPublication>>;
}

export interface Bridge<D extends BridgeDeclaration = BridgeDeclaration> {
  readonly kind: "bridge";
  readonly name: string;
  readonly declared: D;
  /** For `ctx.task`: one for each publication, which ends when the fleet's stream has the message. */
  readonly tasks: { readonly [Name in keyof D["publications"]]: PublicationTask<D, Name> };
}

type PublicationTask<D extends BridgeDeclaration, Name extends keyof D["publications"]> =
  NonNullable<D["publications"]>[Name & string] extends PublicationRule<infer T>
    ? TaskDefinition<Schema<T, T>, undefined>
    : never;

/** @throws PerdureError INVALID_MESSAGE for a name that cannot be one */
export function defineBridge<const D extends BridgeDeclaration>(name: string, declared: D): Bridge<D> {
  if (!MessageName.safeParse(name).success) {
    throw new PerdureError("INVALID_MESSAGE", `A bridge cannot be named "${name}"; use 1 to 128 printable characters.`);
  }
  const tasks = Object.entries(declared.publications ?? {}).map(([publication, { schema }]) => [
    publication,
    task(publicationType(name, publication), { input: schema }),
  ]);
  return { kind: "bridge", name, declared, tasks: Object.fromEntries(tasks) };
}

export const publicationType = (bridge: string, publication: string): string => `${bridge}:${publication}`;
