/**
 * Foreign members as agents of ours: one agent for each that is there, whose tasks are done by asking the member. Members
 * that announce themselves come and go; those known from before a restart of the bridge are taken up again at once.
 */
import { isDeepStrictEqual } from "node:util";
import { type Agent, agent } from "../agent/agent.js";
import type { TaskHandler } from "../agent/task-handler.js";
import type { Client } from "../client/client.js";
import type { Clock } from "../clock.js";
import { PerdureError } from "../errors.js";
import type { Subscription } from "../jetstream/connection.js";
import type { ConnectionOptions } from "../jetstream/connection-options.js";
import type { Logger } from "../logger.js";
import type { Schema } from "../workflow/standard-schema.js";
import { startAnswers } from "./answers.js";
import type { AnnouncedMembers, AnyMember, MemberDescription } from "./bridge.js";
import type { Fleet } from "./fleet.js";
import { type MemberParts, runAtMember } from "./member-task.js";

export interface HostParts {
  readonly bridge: string;
  readonly fleet: Fleet;
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where the orchestrator is, with what to go there. */
  readonly agentOptions: ConnectionOptions & { readonly namespace: string };
}

interface HostedMember {
  readonly agent: Agent;
  readonly description: MemberDescription;
  heardAt: number;
  metrics: Readonly<Record<string, number>>;
}

/** Members that are remembered. One that comes under a new id each time would fill the memory otherwise. */
const KNOWN_MAX = 10_000;

export class MemberHost {
  readonly #name: string;
  readonly #rule: AnyMember;
  readonly #parts: HostParts;
  readonly #task: MemberParts;
  readonly #members = new Map<string, HostedMember>();
  /** As they announced themselves last, also those that are silent: a heartbeat says that one is back. */
  readonly #known = new Map<string, MemberDescription>();
  readonly #leaving = new Set<Promise<void>>();
  readonly #subscriptions: Subscription[] = [];
  #watch: NodeJS.Timeout | undefined;
  #stopped = false;

  static async start(name: string, rule: AnyMember, parts: HostParts): Promise<MemberHost> {
    const { fleet, logger } = parts;
    const answers = await startAnswers(fleet, rule, logger);
    const host = new MemberHost(name, rule, parts, { fleet, rule, answers, news: new Map(), logger });
    try {
      host.#listenToNews();
      if (rule.presence.kind === "static") await host.#start(host.#host(rule.presence));
      else await host.#listenToMembers(rule.presence);
    } catch (error) {
      await host.stop();
      throw error;
    }
    return host;
  }

  private constructor(name: string, rule: AnyMember, parts: HostParts, task: MemberParts) {
    this.#name = name;
    this.#rule = rule;
    this.#parts = parts;
    this.#task = task;
  }

  /** What is in hand is handed back: the next bridge goes on waiting for the answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#watch);
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    await Promise.all([...this.#leaving, ...[...this.#members.values()].map((hosted) => hosted.agent.stop())]);
  }

  #listenToNews(): void {
    const { status } = this.#rule;
    if (status === undefined) return;
    this.#listen(status.subject, status.schema, (body, subject) => {
      this.#task.news.get(status.foreignId(body, subject))?.(status.progress(body));
    });
  }

  async #listenToMembers({ announce, heartbeat, goodbye, lostAfterMs }: AnnouncedMembers): Promise<void> {
    this.#listen(announce.subject, announce.schema, (body) => {
      const description = announce.read(body);
      if (description !== undefined) this.#announced(description);
    });
    this.#listen(heartbeat.subject, heartbeat.schema, (body) => {
      const { agentId, metrics } = heartbeat.read(body);
      const description = this.#members.get(agentId)?.description ?? this.#known.get(agentId);
      if (description === undefined) return;
      const hosted = this.#announced(description);
      if (metrics !== undefined) hosted.metrics = metrics;
    });
    this.#listen(goodbye.subject, goodbye.schema, (body) => {
      const agentId = goodbye.read(body);
      this.#known.delete(agentId);
      this.#leave(agentId, "said goodbye");
    });
    this.#watch = setInterval(() => this.#dropSilent(lostAfterMs), Math.max(10, lostAfterMs / 4));
    await this.#takeUpKnown();
  }

  /** Announcements that an earlier life of this bridge heard; whoever is gone meanwhile is soon found silent. */
  async #takeUpKnown(): Promise<void> {
    const { agentStatuses } = await this.#parts.client.status();
    for (const { agentId, capabilities, maxConcurrentTasks, metadata, state } of agentStatuses) {
      const isOurs = metadata?.["bridge"] === this.#parts.bridge && metadata["member"] === this.#name;
      if (!isOurs || this.#known.has(agentId)) continue;
      const { bridge: _bridge, member: _member, ...own } = metadata;
      const description = { agentId, capabilities, maxConcurrentTasks, metadata: own };
      // Gone is who left, and who was here when a bridge was stopped: the second kind is heard of.
      if (state === "gone") this.#know(description);
      else this.#announced(description);
    }
  }

  /** Announced, or as good as that. @throws as `#host` does */
  #announced(description: MemberDescription): HostedMember {
    const { agentId } = description;
    const hosted = this.#members.get(agentId);
    if (hosted !== undefined && isSameWork(hosted.description, description)) {
      hosted.heardAt = this.#parts.clock.monotonicNow();
      return hosted;
    }
    // It can do other things now: what it has in hand is handed back, and waited for again under the new registration.
    if (hosted !== undefined) this.#leave(agentId, "announced itself anew");
    const coming = this.#host(description);
    this.#know(description);
    this.#start(coming).catch((error: unknown) => {
      this.#forget(coming);
      if (!this.#stopped) this.#parts.logger.error({ agentId, err: error }, "a member cannot be made an agent");
    });
    return coming;
  }

  #know(description: MemberDescription): void {
    this.#known.delete(description.agentId);
    this.#known.set(description.agentId, description);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
  }

  /** @throws PerdureError INVALID_ID or INVALID_MESSAGE for a description that no agent can have */
  #host(description: MemberDescription): HostedMember {
    const { bridge, agentOptions, clock, logger } = this.#parts;
    const { agentId, capabilities, maxConcurrentTasks, metadata } = description;
    const handle: TaskHandler = (context, input) => runAtMember(this.#task, agentId, context, input);
    const hosted: HostedMember = {
      agent: agent(agentId, {
        ...agentOptions,
        tasks: Object.fromEntries(capabilities.map((capability) => [capability, handle])),
        maxConcurrentTasks: maxConcurrentTasks ?? 1,
        metadata: { ...metadata, bridge, member: this.#name },
        metrics: () => hosted.metrics,
        logger,
      }),
      description,
      heardAt: clock.monotonicNow(),
      metrics: {},
    };
    this.#members.set(agentId, hosted);
    hosted.agent.closed.catch((error: unknown) => {
      this.#forget(hosted);
      // Another process took its id and hosts the member: a heartbeat must not take it back.
      if (error instanceof PerdureError && error.code === "AGENT_SUPERSEDED") this.#known.delete(agentId);
      logger.error({ agentId, err: error }, "a member's agent ended");
    });
    return hosted;
  }

  async #start(hosted: HostedMember): Promise<void> {
    const { agentId } = hosted.description;
    // Of two processes of one id the later one wins, and the one that leaves must not be that.
    await Promise.all(this.#leaving);
    if (this.#members.get(agentId) !== hosted || this.#stopped) return;
    await hosted.agent.start();
    this.#parts.logger.info({ agentId }, "a member of the fleet is an agent now");
  }

  /** Whoever has the id now is another one, if this was not the one. */
  #forget(hosted: HostedMember): void {
    const { agentId } = hosted.description;
    if (this.#members.get(agentId) === hosted) this.#members.delete(agentId);
  }

  #dropSilent(lostAfterMs: number): void {
    const now = this.#parts.clock.monotonicNow();
    for (const [agentId, { heardAt }] of [...this.#members]) {
      if (now - heardAt > lostAfterMs) this.#leave(agentId, "was silent");
    }
  }

  #leave(agentId: string, reason: string): void {
    const hosted = this.#members.get(agentId);
    if (hosted === undefined) return;
    this.#members.delete(agentId);
    this.#parts.logger.info({ agentId, reason }, "a member of the fleet is gone; its tasks go to others");
    const leaving = hosted.agent
      .stop()
      .catch((error: unknown) =>
        this.#parts.logger.error({ agentId, err: error }, "a member's agent could not be ended"),
      )
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  #listen(subject: string, schema: Schema, handle: (body: unknown, subject: string) => void): void {
    this.#subscriptions.push(
      this.#parts.fleet.listen(subject, schema, (message) => handle(message.body, message.subject)),
    );
  }
}

/** What it says of itself besides may change with every announcement. */
const isSameWork = (one: MemberDescription, other: MemberDescription): boolean =>
  (one.maxConcurrentTasks ?? 1) === (other.maxConcurrentTasks ?? 1) &&
  isDeepStrictEqual(one.capabilities.toSorted(), other.capabilities.toSorted());
