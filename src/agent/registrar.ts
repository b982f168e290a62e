/**
 * Registers the agent, again and again until an orchestrator confirms it: there may be none yet.
 *
 * The reply to the request is what counts. A confirmation on the status subject shows that the message arrived, but it
 * names no process, and another one may be registering under the same id, whose tasks both would run; so it is used only
 * where no reply follows, time and again.
 */
import { randomUUID } from "node:crypto";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import type { Logger } from "../logger.js";
import { type AgentOrder, AgentOrderMessage, type AgentRegistration } from "../protocol/agent-message.js";
import { decodeJson } from "../protocol/decode.js";
import { ErrorReply } from "../protocol/envelope.js";
import type { ErrorCode } from "../protocol/error-code.js";
import { parseMessage } from "../protocol/parse.js";
import type { Subjects } from "../protocol/subjects.js";

const RETRY_DELAY_MS_MIN = 250;
const RETRY_DELAY_MS_MAX = 5_000;
const REPLY_TIMEOUT_MS = 2_000;
/** After a confirmation on the status subject. */
const REPLY_GRACE_MS = 250;
/** A reply is lost with an orchestrator that was paused; so many in a row, and there are none to be had. */
const REPLIES_MISSED_MAX = 2;

export interface RegistrarOptions {
  readonly connection: Connection;
  readonly subjects: Subjects;
  readonly registration: AgentRegistration;
  readonly onConfirmed: (order: AgentOrder) => void;
  /** The orchestrator refuses this agent as it is; asking again would not help. */
  readonly onRefused: (error: PerdureError) => void;
  readonly logger: Logger;
}

type Answer =
  | { readonly kind: "confirmed"; readonly order: AgentOrder }
  | { readonly kind: "refused"; readonly error: PerdureError }
  | { readonly kind: "none"; readonly error: unknown };

export class Registrar {
  readonly #options: RegistrarOptions;
  /** Present while a registration is under way. */
  #round: AbortController | null = null;
  #confirmedOnStatus: AgentOrder | null = null;
  /** Confirmations on the status subject that no reply followed, since the registration began. */
  #repliesMissed = 0;
  #graceTimer: NodeJS.Timeout | null = null;
  #asking: AbortController | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #retryDelayMs = RETRY_DELAY_MS_MIN;

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  get underWay(): boolean {
    return this.#round !== null;
  }

  /** Begins a registration; one that is under way starts over, for the connection may have been another one. */
  register(): void {
    this.stop();
    this.#retryDelayMs = RETRY_DELAY_MS_MIN;
    this.#repliesMissed = 0;
    this.#round = new AbortController();
    void this.#try(this.#round.signal);
  }

  /** A confirmation that came on the status subject. */
  heardConfirmation(order: AgentOrder): void {
    if (this.#round === null) return;
    this.#confirmedOnStatus = order;
    this.#graceTimer ??= setTimeout(() => this.#asking?.abort(), REPLY_GRACE_MS);
  }

  stop(): void {
    this.#round?.abort();
    this.#asking?.abort();
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#round = null;
    this.#asking = null;
    this.#graceTimer = null;
    this.#retryTimer = null;
    this.#confirmedOnStatus = null;
  }

  async #try(round: AbortSignal): Promise<void> {
    const answer = await this.#ask();
    if (round.aborted) return;
    const { onConfirmed, onRefused, logger } = this.#options;
    if (answer.kind === "confirmed") {
      this.stop();
      onConfirmed(answer.order);
      return;
    }
    if (answer.kind === "refused") {
      this.stop();
      onRefused(answer.error);
      return;
    }
    logger.warn(
      { err: answer.error, delayMs: this.#retryDelayMs },
      "no orchestrator confirmed the registration; it is sent again",
    );
    this.#retryTimer = setTimeout(() => void this.#try(round), this.#retryDelayMs);
    this.#retryDelayMs = Math.min(this.#retryDelayMs * 2, RETRY_DELAY_MS_MAX);
  }

  async #ask(): Promise<Answer> {
    const { connection, subjects, registration } = this.#options;
    const body = JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), registration });
    this.#asking = new AbortController();
    try {
      const reply = await connection.request(subjects.agentRegister, body, {
        timeoutMs: REPLY_TIMEOUT_MS,
        signal: this.#asking.signal,
      });
      return answerOf(reply.data, registration.agentId);
    } catch (error) {
      if (error instanceof PerdureError && error.code === "PERMISSION_DENIED") return { kind: "refused", error };
      const order = this.#confirmedOnStatus;
      if (order === null) return { kind: "none", error };
      this.#repliesMissed += 1;
      if (this.#repliesMissed > REPLIES_MISSED_MAX) return { kind: "confirmed", order };
      this.#confirmedOnStatus = null;
      this.#graceTimer = null;
      return { kind: "none", error };
    }
  }
}

/** Refusals that the same registration would meet again. Others (not the leader yet, storage away) pass. */
const lastingRefusals = ["INVALID_MESSAGE", "INVALID_ID", "PERMISSION_DENIED"] as const satisfies readonly ErrorCode[];

function answerOf(data: Uint8Array, agentId: string): Answer {
  const decoded = decodeJson(data);
  if (!decoded.ok) return { kind: "none", error: new Error(`the reply ${decoded.failure.message}`) };
  const confirmed = parseMessage(AgentOrderMessage, decoded.value);
  if (confirmed.ok && confirmed.value.status.state === "registered") {
    return { kind: "confirmed", order: confirmed.value.status };
  }
  const refused = parseMessage(ErrorReply, decoded.value);
  if (!refused.ok) return { kind: "none", error: new Error("the reply is neither a confirmation nor an error") };
  const { code, message, details } = refused.value.error;
  const lasting = lastingRefusals.find((known) => known === code);
  if (lasting === undefined) return { kind: "none", error: new Error(`${code}: ${message}`) };
  const sentence = `the registration of agent ${agentId} was refused: ${message}`;
  return { kind: "refused", error: new PerdureError(lasting, sentence, { details: { agentId, ...details } }) };
}
