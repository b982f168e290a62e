/**
 * Watches for silent agents, and first of all itself: silence counts only while this process was awake and connected.
 * A late tick means it was paused (a stopped process, a suspended laptop, a long collection); a probe that does not
 * come back means that it hears nobody. Either way the observation starts anew.
 */
import type { Clock } from "../clock.js";
import type { Core } from "../core/core.js";
import type { Connection, Subscription } from "../jetstream/connection.js";
import { type Logger, SampledLog } from "../logger.js";
import type { ProcessTally } from "./process-tally.js";

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
  readonly tally: ProcessTally;
  readonly heartbeatIntervalMs: number;
}

export class AgentMonitor {
  readonly #options: AgentMonitorOptions;
  readonly #tickMs: number;
  readonly #pauseMs: number;
  readonly #inbox: string;
  readonly #paused: SampledLog;
  #subscription: Subscription | null = null;
  #timer: NodeJS.Timeout | null = null;
  #lastTickAt = 0;
  #probesSent = 0;
  #probesSeen = 0;
  #isHearing = true;
  #heldCount = 0;

  constructor(options: AgentMonitorOptions) {
    this.#options = options;
    this.#tickMs = Math.min(1_000, Math.max(50, Math.floor(options.heartbeatIntervalMs / 2)));
    this.#pauseMs = Math.min(PAUSE_MS_MAX, options.heartbeatIntervalMs);
    this.#inbox = options.connection.newInbox();
    this.#paused = new SampledLog(
      options.logger,
      "warn",
      "this process was paused; silence of agents is measured anew from now",
    );
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
    const { core, clock, tally, connection, logger } = this.#options;
    const monotonicAt = clock.monotonicNow();
    const lateMs = monotonicAt - this.#lastTickAt - this.#tickMs;
    this.#lastTickAt = monotonicAt;
    this.#noteHearing(this.#probesSeen === this.#probesSent);
    if (lateMs > this.#pauseMs) {
      tally.observationRestarts.paused += 1;
      this.#paused.write({ pausedMs: Math.round(lateMs) });
      core.observerResumed(monotonicAt);
    } else if (!this.#isHearing) {
      tally.observationRestarts.deaf += 1;
      core.observerResumed(monotonicAt);
    } else {
      core.checkSilence({ at: clock.now(), monotonicAt });
    }
    this.#noteHeld(core.heldAgentCount);
    this.#probesSent += 1;
    try {
      connection.publish(this.#inbox, "");
    } catch (cause) {
      // Closed for good: whoever reads results ends the term. A throw from a timer would end the process before that.
      logger.debug({ err: cause }, "the probe could not be sent");
    }
  }

  /** The first of many, and that it is over: the numbers between are in the metrics. */
  #noteHeld(agentCount: number): void {
    const before = this.#heldCount;
    this.#heldCount = agentCount;
    const { logger } = this.#options;
    if (before === 0 && agentCount > 0) {
      logger.error(
        { agentCount, code: "OBSERVER_SUSPECT" },
        "most agents fell silent at once; they keep their work and get no more",
      );
    }
    if (before > 0 && agentCount === 0) logger.info({}, "no silent agent is held any more");
  }

  #noteHearing(isHearing: boolean): void {
    if (isHearing === this.#isHearing) return;
    this.#isHearing = isHearing;
    const { logger } = this.#options;
    if (isHearing) logger.info({}, "this process hears its own messages again; silence of agents counts from now");
    else logger.warn({}, "this process does not hear its own messages; silence of agents does not count");
  }
}
