/**
 * Results on their way into the results stream. Each stays here until the stream has acknowledged it, whatever happens
 * to the connection, the stream or the orchestrator meanwhile: finished work is lost only with this process, and then
 * the attempt is repeated.
 *
 * The same bytes are sent again and carry no JetStream message id on purpose: should the stream have lost a result it
 * had acknowledged (it may write after acknowledging), its memory of ids would refuse the repetition. The orchestrator
 * tells a doubled result by its token.
 */
import type { Logger } from "../logger.js";

const RETRY_DELAY_MS_MIN = 250;
const RETRY_DELAY_MS_MAX = 5_000;
/** Beyond these the agent takes no new work until the stream is back. */
const RESULTS_MAX = 10_000;
/** Characters, all results together. */
const LENGTH_MAX = 64 * 1024 * 1024;

export interface ResultOutboxOptions {
  /** Resolves when the stream has the result. */
  readonly handIn: (body: string) => Promise<void>;
  readonly onAcknowledged: (token: string, body: string) => void;
  readonly logger: Logger;
}

export class ResultOutbox {
  readonly #options: ResultOutboxOptions;
  readonly #bodies = new Map<string, string>();
  /** Tokens whose last try failed. */
  #refused = new Set<string>();
  #length = 0;
  #retryDelayMs = RETRY_DELAY_MS_MIN;
  #retryTimer: NodeJS.Timeout | null = null;
  #emptied: (() => void)[] = [];
  #closed = false;

  constructor(options: ResultOutboxOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#bodies.size;
  }

  get full(): boolean {
    return this.#bodies.size >= RESULTS_MAX || this.#length >= LENGTH_MAX;
  }

  /** Of the attempts whose results wait to be acknowledged. */
  tokens(): Iterable<string> {
    return this.#bodies.keys();
  }

  has(token: string): boolean {
    return this.#bodies.has(token);
  }

  add(token: string, body: string): void {
    if (this.#closed || this.#bodies.has(token)) return;
    this.#bodies.set(token, body);
    this.#length += body.length;
    this.#send(token, body);
  }

  /** Sends all of them again, because what was under way when the connection broke will not be answered. */
  sendAgain(): void {
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#retryDelayMs = RETRY_DELAY_MS_MIN;
    this.#refused.clear();
    for (const [token, body] of this.#bodies) this.#send(token, body);
  }

  /** Resolves once every result is acknowledged. */
  emptied(): Promise<void> {
    if (this.#bodies.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#emptied.push(resolve));
  }

  /** Forgets what is left; returns how many results that were. */
  close(): number {
    const left = this.#bodies.size;
    this.#closed = true;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#bodies.clear();
    this.#refused.clear();
    this.#announceEmpty();
    return left;
  }

  #send(token: string, body: string): void {
    this.#options.handIn(body).then(
      () => this.#acknowledge(token, body),
      (error: unknown) => this.#refuse(token, error),
    );
  }

  #acknowledge(token: string, body: string): void {
    if (!this.#bodies.delete(token)) return;
    this.#length -= body.length;
    this.#retryDelayMs = RETRY_DELAY_MS_MIN;
    this.#options.onAcknowledged(token, body);
    if (this.#bodies.size === 0) this.#announceEmpty();
  }

  #refuse(token: string, error: unknown): void {
    if (!this.#bodies.has(token)) return;
    this.#refused.add(token);
    if (this.#retryTimer !== null) return;
    const delayMs = this.#retryDelayMs;
    this.#options.logger.warn(
      { err: error, unacknowledgedResults: this.#bodies.size, delayMs },
      "a result was not acknowledged by the results stream; it is kept and handed in again",
    );
    this.#retryDelayMs = Math.min(delayMs * 2, RETRY_DELAY_MS_MAX);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      this.#retry();
    }, delayMs);
  }

  #retry(): void {
    const refused = this.#refused;
    this.#refused = new Set();
    for (const token of refused) {
      const body = this.#bodies.get(token);
      if (body !== undefined) this.#send(token, body);
    }
  }

  #announceEmpty(): void {
    const emptied = this.#emptied;
    this.#emptied = [];
    for (const announce of emptied) announce();
  }
}
