/**
 * Foreign members as agents of ours: one agent for each that is there, whose tasks are done by asking the member. Members
 * that announce themselves come and go; those known from before a restart of the bridge are taken up again at once.
 */
import { type Agent, agent } from "../agent/agent.js";
import type { TaskHandler } from "../agent/task-handler.js";
import type { Client } from "../client/client.js";
import type { Clock } from "../clock.js";
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
  heardAt: number;
  metrics: Readonly<Record<string, number>>;
}

export class MemberHost {
  readonly #name: string;
  readonly #rule: AnyMember;
  readonly #parts: HostParts;
  readonly #task: MemberParts;
  readonly #members = new Map<string, HostedMember>();
  readonly #subscriptions: Subscription[] = [];
  #watch: NodeJS.Timeout | undefined;
  #stopped = false;

  static async start(name: string, rule: AnyMember, parts: HostParts): Promise<MemberHost> {
    const { fleet, logger } = parts;
    const answers = await startAnswers(fleet, rule, logger);
    const host = new MemberHost(name, rule, parts, { fleet, rule, answers, news: new Map(), logger });
    host.#listenToNews();
    if (rule.presence.kind === "static") await host.#come(rule.presence);
    else await host.#listenToMembers(rule.presence);
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
    await Promise.all([...this.#members.values()].map((hosted) => hosted.agent.stop()));
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
      const hosted = this.#members.get(agentId);
      if (hosted === undefined) return;
      hosted.heardAt = this.#parts.clock.monotonicNow();
      if (metrics !== undefined) hosted.metrics = metrics;
    });
    this.#listen(goodbye.subject, goodbye.schema, (body) => this.#leave(goodbye.read(body), "said goodbye"));
    this.#watch = setInterval(() => this.#dropSilent(lostAfterMs), Math.max(10, lostAfterMs / 4));
    await this.#takeUpKnown();
  }

  /** Announcements that an earlier life of this bridge heard; whoever is gone meanwhile is soon found silent. */
  async #takeUpKnown(): Promise<void> {
    const { agentStatuses } = await this.#parts.client.status();
    for (const { agentId, capabilities, maxConcurrentTasks, metadata, state } of agentStatuses) {
      const isOurs = metadata?.["bridge"] === this.#parts.bridge && metadata["member"] === this.#name;
      // Members that left are gone for seven days; so are those of a bridge that was stopped, until they announce themselves.
      if (isOurs && state !== "gone") this.#announced({ agentId, capabilities, maxConcurrentTasks, metadata });
    }
  }

  #announced(description: MemberDescription): void {
    const known = this.#members.get(description.agentId);
    if (known !== undefined) {
      known.heardAt = this.#parts.clock.monotonicNow();
      return;
    }
    this.#come(description).catch((error: unknown) => {
      this.#members.delete(description.agentId);
      this.#parts.logger.error({ agentId: description.agentId, err: error }, "a member cannot be made an agent");
    });
  }

  async #come({ agentId, capabilities, maxConcurrentTasks, metadata }: MemberDescription): Promise<void> {
    const { bridge, agentOptions, clock, logger } = this.#parts;
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
      heardAt: clock.monotonicNow(),
      metrics: {},
    };
    this.#members.set(agentId, hosted);
    // It ends by itself only where another process took its id, and then that one hosts the member.
    hosted.agent.closed.catch((error: unknown) => {
      this.#members.delete(agentId);
      logger.error({ agentId, err: error }, "a member's agent ended");
    });
    await hosted.agent.start();
    logger.info({ agentId }, "a member of the fleet is an agent now");
    if (this.#stopped) await hosted.agent.stop();
  }

  #dropSilent(lostAfterMs: number): void {
    const now = this.#parts.clock.monotonicNow();
    for (const [agentId, { heardAt }] of this.#members) {
      if (now - heardAt > lostAfterMs) this.#leave(agentId, "was silent");
    }
  }

  #leave(agentId: string, reason: string): void {
    const hosted = this.#members.get(agentId);
    if (hosted === undefined) return;
    this.#members.delete(agentId);
    this.#parts.logger.info({ agentId, reason }, "a member of the fleet is gone; its tasks go to others");
    hosted.agent.stop().catch((error: unknown) => {
      this.#parts.logger.error({ agentId, err: error }, "a member's agent could not be ended");
    });
  }

  #listen(subject: string, schema: Schema, handle: (body: unknown, subject: string) => void): void {
    this.#subscriptions.push(
      this.#parts.fleet.listen(subject, schema, (message) => handle(message.body, message.subject)),
    );
  }
}
