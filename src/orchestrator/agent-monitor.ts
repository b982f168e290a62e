/**
 * Watches for silent agents, and first of all itself: silence counts only while this process was awake and connected.
 * A late tick means it was paused (a stopped process, a suspended laptop, a long collection); a probe that does not
 * come back means that it hears nobody. Either way the observation starts anew.
 */
import type { Clock } from "../clock.js";
import type { Core } from "../core/core.js";
import type { Connection, Subscription } from "../jetstream/connection.js";
import type { Logger } from "../logger.js";

/**
 * A tick this late is a pause, not jitter; or as late as one heartbeat, where that is less: agents may be silent for
 * several before anything follows.
 */
const PAUSE_MS_MAX = 2_000;

export interface AgentMonitorOptions {
  readonly core: Core;
  readonly connection: Connection;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly heartbeatIntervalMs: number;
}

export class AgentMonitor {
  readonly #options: AgentMonitorOptions;
  readonly #tickMs: number;
  readonly #pauseMs: number;
  readonly #inbox: string;
  #subscription: Subscription | null = null;
  #timer: NodeJS.Timeout | null = null;
  #lastTickAt = 0;
  #probesSent = 0;
  #probesSeen = 0;
  #isHearing = true;

  constructor(options: AgentMonitorOptions) {
    this.#options = options;
    this.#tickMs = Math.min(1_000, Math.max(50, Math.floor(options.heartbeatIntervalMs / 2)));
    this.#pauseMs = Math.min(PAUSE_MS_MAX, options.heartbeatIntervalMs);
    this.#inbox = options.connection.newInbox();
  }

  start(): void {
    const { connection, clock } = this.#options;
    this.#subscription = connection.subscribe(this.#inbox, () => {
      this.#probesSeen = this.#probesSent;
    });
    this.#lastTickAt = clock.monotonicNow();
    this.#timer = setInterval(() => this.runOnce(), this.#tickMs);
  }

  stop(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Whether, at the last tick, the probe of the tick before had come back. */
  get isHearing(): boolean {
    return this.#isHearing;
  }

  runOnce(): void {
    const { core, clock, logger, connection } = this.#options;
    const monotonicAt = clock.monotonicNow();
    const lateMs = monotonicAt - this.#lastTickAt - this.#tickMs;
    this.#lastTickAt = monotonicAt;
    this.#isHearing = this.#probesSeen === this.#probesSent;
    if (lateMs > this.#pauseMs) {
      logger.warn(
        { pausedMs: Math.round(lateMs) },
        "this process was paused; silence of agents is measured anew from now",
      );
      core.observerResumed(monotonicAt);
    } else if (!this.#isHearing) {
      core.observerResumed(monotonicAt);
    } else {
      core.checkSilence({ at: clock.now(), monotonicAt });
    }
    this.#probesSent += 1;
    try {
      connection.publish(this.#inbox, "");
    } catch (cause) {
      // Closed for good: whoever reads results ends the term. A throw from a timer would end the process before that.
      logger.debug({ err: cause }, "the probe could not be sent");
    }
  }
}
