/**
 * The agent a program starts. Here is the order of its life (new -> starting -> running -> draining -> ended) and what
 * the orchestrator's orders do to it; the work is in the parts.
 */
import { randomUUID } from "node:crypto";
import { systemClock } from "../clock.js";
import { Deferred } from "../deferred.js";
import { PerdureError } from "../errors.js";
import { type Connection, type ConnectionEvent, connect, type Message } from "../jetstream/connection.js";
import { connectionOptionsOf } from "../jetstream/connection-options.js";
import { type Logger, SampledLog } from "../logger.js";
import type { AgentOrder } from "../protocol/agent-message.js";
import { type AgentOptions, type AgentSettings, agentSettings } from "./agent-options.js";
import { decodeOrder } from "./agent-order.js";
import { type AgentParts, buildAgentParts } from "./agent-parts.js";
import { depart } from "./depart.js";

export interface Agent {
  readonly id: string;
  /**
   * Connects and registers; resolves once an orchestrator has confirmed it, however long that takes.
   * @throws PerdureError CONNECTION_FAILED where no server answers; USAGE for credentials that cannot be used; INVALID_MESSAGE or INVALID_ID where the
   *   orchestrator refuses the registration; NOT_READY where the agent was ended meanwhile.
   */
  start(): Promise<void>;
  /** Takes no new work, lets what it has finish or hands it back after `drainTimeoutMs`, says goodbye and ends. */
  drain(): Promise<void>;
  /** The same without waiting: what runs is aborted and handed back. Also cuts a `drain` short. */
  stop(): Promise<void>;
  /**
   * Settles when the agent has ended: resolves after `drain` or `stop`, rejects with a PerdureError where it ended by
   * itself: AGENT_SUPERSEDED if another process registered under its id, CONNECTION_FAILED if the connection closed.
   */
  readonly closed: Promise<void>;
}

/** @throws PerdureError INVALID_ID or INVALID_MESSAGE for an id or options that no orchestrator would take. */
export function agent(id: string, options: AgentOptions): Agent {
  return new AgentProcess(id, options);
}

type Life = "new" | "starting" | "running" | "draining" | "ended";

class AgentProcess implements Agent {
  readonly id: string;
  readonly #options: AgentOptions;
  readonly #settings: AgentSettings;
  readonly #logger: Logger;
  readonly #ignored: SampledLog;
  readonly #closed = new Deferred();
  readonly #registered = new Deferred();
  /** Aborted by `stop`. */
  readonly #hurry = new AbortController();
  #life: Life = "new";
  #parts: AgentParts | null = null;
  #incarnation: number | undefined;
  #departure: Promise<void> | null = null;

  constructor(id: string, options: AgentOptions) {
    this.id = id;
    this.#options = options;
    this.#settings = agentSettings(id, options, randomUUID());
    this.#logger = this.#settings.logger;
    this.#ignored = new SampledLog(this.#logger, "warn", "ignored a status message that cannot be read");
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  async start(): Promise<void> {
    if (this.#life !== "new")
      throw new Error(`agent ${this.id} was started or ended before; make a new one with agent()`);
    this.#life = "starting";
    let connection: Connection;
    try {
      connection = this.#options.connection ?? (await this.#connect());
    } catch (error) {
      await this.#end(null);
      throw error;
    }
    if (this.#hasEnded()) {
      if (this.#options.connection === undefined) await connection.close();
      throw this.#endedEarly();
    }
    this.#parts = buildAgentParts(
      connection,
      this.#settings,
      {
        incarnation: () => this.#incarnation,
        onStatusMessage: (message) => this.#hear(message),
        onHeartbeatReply: (order, sentAs) => this.#obeyReply(order, sentAs),
        onUnanswered: (silentMs) => this.#stopUnanswered(silentMs),
        onRegistered: (order) => this.#confirm(order),
        onRegistrationRefused: (error) => void this.#end(error),
        onConnectionEvent: (event) => this.#noteConnection(event),
      },
      systemClock,
    );
    // The server handles one connection's messages in order: it has the subscriptions before it sees this.
    this.#parts.registrar.register();
    await this.#registered.promise;
  }

  drain(): Promise<void> {
    this.#departure ??= this.#depart();
    return this.#departure;
  }

  stop(): Promise<void> {
    this.#hurry.abort();
    return this.drain();
  }

  #connect(): Promise<Connection> {
    const options = connectionOptionsOf(this.#options);
    return connect({
      ...options,
      servers: this.#settings.servers,
      name: `perdure agent ${this.id}`,
      // An inbox of its own, so that permissions can keep others from reading its replies.
      inboxPrefix: options.inboxPrefix ?? `_INBOX_a_${this.id}`,
      logger: this.#logger,
    });
  }

  #hear(message: Message): void {
    const order = decodeOrder(message.data);
    if (!order.ok) {
      this.#ignored.write({ reason: order.failure.message });
    } else if (order.value !== null && order.value.agentId === this.id) {
      // One for another agent is the answer to a question that was asked with this subject as its reply.
      this.#obey(order.value);
    }
  }

  /** An order to whoever has this agent's id, which may be more than one process. */
  #obey(order: AgentOrder): void {
    switch (order.state) {
      case "registered":
        this.#parts?.registrar.heardConfirmation(order);
        break;
      case "cancel":
        this.#parts?.runner.cancel(order);
        break;
      case "reregister":
        // Registering takes the id from a newer process, so where there may be one, a heartbeat asks first.
        if (order.incarnation !== undefined && order.incarnation > (this.#incarnation ?? 0)) this.#askWhoWeAre();
        else this.#registerAgain();
        break;
      case "superseded":
        // Where it may be meant for either process of the id, each asks in person.
        if (this.#incarnation === undefined) break;
        if (order.incarnation !== undefined && order.incarnation > this.#incarnation) this.#beSuperseded();
        else if (order.incarnation === undefined || order.incarnation === this.#incarnation) this.#askWhoWeAre();
        break;
    }
  }

  /** What the reply to a heartbeat says is meant for this process alone, as it was when it sent the heartbeat. */
  #obeyReply(order: AgentOrder, sentAs: number | undefined): void {
    if (sentAs !== this.#incarnation || this.#parts?.registrar.underWay === true) return;
    if (order.state === "superseded") this.#beSuperseded();
    else if (order.state === "reregister") this.#registerAgain();
    else if (order.state === "cancel") this.#parts?.runner.cancel(order);
  }

  #registerAgain(): void {
    if (this.#parts?.registrar.underWay === false) this.#parts.registrar.register();
  }

  /** The answer confirms this incarnation, or says that it was lost or superseded. */
  #askWhoWeAre(): void {
    if (this.#incarnation === undefined) this.#parts?.registrar.register();
    else this.#parts?.heartbeat.beat();
  }

  #confirm({ incarnation, heartbeatIntervalMs }: AgentOrder): void {
    this.#incarnation = incarnation;
    this.#logger.info({ incarnation, heartbeatIntervalMs }, "registered");
    this.#parts?.heartbeat.start(heartbeatIntervalMs);
    if (this.#life === "starting") this.#life = "running";
    // To a new incarnation the orchestrator would give work again.
    if (this.#life === "draining") this.#parts?.report({ state: "draining" });
    this.#parts?.runner.takeEarly();
    this.#registered.resolve();
  }

  #noteConnection(event: ConnectionEvent): void {
    if (event === "reconnected") {
      this.#askWhoWeAre();
      this.#parts?.outbox.sendAgain();
    } else if (event === "closed") {
      const message = `agent ${this.id} lost its connection to NATS for good and stopped its work; the orchestrator gives it to others. Start the agent again.`;
      const details = { agentId: this.id, incarnation: this.#incarnation };
      this.#parts?.runner.stopAll("connectionLost", message);
      void this.#end(new PerdureError("CONNECTION_FAILED", message, { details }));
    }
  }

  #stopUnanswered(silentMs: number): void {
    this.#logger.error({ silentMs }, "no orchestrator answered heartbeats for the lost threshold; stopped all work");
    // Heartbeats go on: the first answer says whether to register again.
    this.#parts?.runner.stopAll("connectionLost", `no orchestrator answered agent ${this.id} for ${silentMs} ms`);
  }

  /** Never fights back: two processes that took the id from each other in turn would do no work at all. */
  #beSuperseded(): void {
    const { instanceId } = this.#settings.registration;
    const message = `another process registered as agent ${this.id}; this one (incarnation ${this.#incarnation}, instance ${instanceId}) stopped its work and ended. Give each process an id of its own.`;
    const details = { agentId: this.id, incarnation: this.#incarnation, instanceId };
    this.#parts?.runner.stopAll("superseded", message);
    void this.#end(new PerdureError("AGENT_SUPERSEDED", message, { details }));
  }

  async #depart(): Promise<void> {
    if (this.#parts !== null) {
      this.#life = "draining";
      const { drainTimeoutMs } = this.#settings;
      await depart(this.#parts, { drainTimeoutMs, hurry: this.#hurry.signal, logger: this.#logger });
    }
    await this.#end(null);
  }

  /** Only the first reason counts. */
  async #end(error: PerdureError | null): Promise<void> {
    if (this.#hasEnded()) return;
    this.#life = "ended";
    const parts = this.#parts;
    this.#parts = null;
    parts?.close();
    if (this.#options.connection === undefined) await parts?.connection.close();
    this.#registered.reject(error ?? this.#endedEarly());
    if (error === null) {
      this.#closed.resolve();
      return;
    }
    this.#logger.error({ err: error }, "the agent ended");
    this.#closed.reject(error);
  }

  /** A method, because the type checker would take the field for unchanged across an await. */
  #hasEnded(): boolean {
    return this.#life === "ended";
  }

  #endedEarly(): PerdureError {
    return new PerdureError("NOT_READY", `agent ${this.id} was ended before an orchestrator had confirmed it`, {
      details: { agentId: this.id },
    });
  }
}
