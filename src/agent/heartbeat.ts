/**
 * Heartbeats, their replies, and what their absence means.
 *
 * The orchestrator calls an agent lost after six intervals of silence and gives its work to others. An agent that gets
 * no reply for as long, by its own monotonic clock and counted from the last heartbeat that was answered, must assume
 * just that and stop its work by itself.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.js";
import type { Connection } from "../jetstream/connection.js";
import type { Logger } from "../logger.js";
import { type AgentOrder, HeartbeatReply } from "../protocol/agent-message.js";
import { decodeMessage } from "../protocol/decode.js";
import type { AgentId } from "../protocol/ids.js";
import type { Subjects } from "../protocol/subjects.js";

/** Where the confirmation of a registration names none. */
const HEARTBEAT_INTERVAL_MS_DEFAULT = 30_000;
const LOST_AFTER_INTERVALS = 6;
/** Spreads the heartbeats of a fleet that was started at once. */
const JITTER = 0.1;
/** Tokens have up to 64 characters, so this many fit into one NATS message. */
const TOKENS_MAX = 10_000;

export interface HeartbeatOptions {
  readonly agentId: AgentId;
  readonly connection: Connection;
  readonly subjects: Subjects;
  readonly incarnation: () => number | undefined;
  readonly metrics: () => Readonly<Record<string, number>>;
  /** Called before each heartbeat is put together. */
  readonly beforeBeat: () => void;
  readonly tokens: () => Iterable<string>;
  /** `sentAs` is the incarnation that the answered heartbeat named. */
  readonly onOrder: (order: AgentOrder, sentAs: number | undefined) => void;
  readonly onTokensNotOurs: (tokens: readonly string[]) => void;
  readonly onUnanswered: (silentMs: number) => void;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #intervalMs = HEARTBEAT_INTERVAL_MS_DEFAULT;
  #beatTimer: NodeJS.Timeout | null = null;
  #silenceTimer: NodeJS.Timeout | null = null;
  /** Monotonic; when the last heartbeat that was answered had been sent. */
  #answeredAt = 0;
  #running = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Begins, or goes on with another interval; a confirmed registration counts as an answer. */
  start(intervalMs: number | undefined): void {
    this.stop();
    this.#running = true;
    this.#intervalMs = intervalMs ?? HEARTBEAT_INTERVAL_MS_DEFAULT;
    this.#noteAnswer(this.#options.clock.monotonicNow());
    this.beat();
  }

  /** Sends one now. */
  beat(): void {
    if (!this.#running) return;
    if (this.#beatTimer !== null) clearTimeout(this.#beatTimer);
    const jitter = 1 + JITTER * (2 * this.#options.random() - 1);
    this.#beatTimer = setTimeout(() => this.beat(), this.#intervalMs * jitter);
    this.#options.beforeBeat();
    void this.#ask(this.#options.clock.monotonicNow());
  }

  stop(): void {
    this.#running = false;
    if (this.#beatTimer !== null) clearTimeout(this.#beatTimer);
    if (this.#silenceTimer !== null) clearTimeout(this.#silenceTimer);
    this.#beatTimer = null;
    this.#silenceTimer = null;
  }

  async #ask(sentAt: number): Promise<void> {
    const { agentId, connection, subjects, logger } = this.#options;
    const sentAs = this.#options.incarnation();
    let data: Uint8Array;
    try {
      const reply = await connection.request(subjects.agentHeartbeat(agentId), this.#body(), {
        timeoutMs: this.#intervalMs,
      });
      data = reply.data;
    } catch (error) {
      // Nothing is lost with one heartbeat; the silence as a whole is acted on.
      logger.debug({ err: error }, "a heartbeat was not answered");
      return;
    }
    const parsed = decodeMessage(HeartbeatReply, data);
    if (!parsed.ok) {
      logger.warn({ reason: parsed.failure.message }, "ignored an answer to a heartbeat that cannot be read");
      return;
    }
    if (!this.#running) return;
    this.#noteAnswer(sentAt);
    if (parsed.value.cancel !== undefined) this.#options.onTokensNotOurs(parsed.value.cancel);
    this.#options.onOrder(parsed.value.status, sentAs);
  }

  #body(): string {
    const { agentId, incarnation, metrics, tokens } = this.#options;
    const held: string[] = [];
    for (const token of tokens()) {
      if (held.length >= TOKENS_MAX) break;
      held.push(token);
    }
    return JSON.stringify({
      messageId: randomUUID(),
      timestamp: this.#options.clock.now(),
      agentId,
      metrics: metrics(),
      incarnation: incarnation(),
      tokens: held,
    });
  }

  #noteAnswer(sentAt: number): void {
    this.#answeredAt = Math.max(this.#answeredAt, sentAt);
    if (this.#silenceTimer !== null) clearTimeout(this.#silenceTimer);
    const { clock } = this.#options;
    const waitMs = this.#answeredAt + LOST_AFTER_INTERVALS * this.#intervalMs - clock.monotonicNow();
    this.#silenceTimer = setTimeout(() => {
      this.#options.onUnanswered(Math.round(clock.monotonicNow() - this.#answeredAt));
    }, waitMs);
  }
}
