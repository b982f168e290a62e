/** Fires the tasks' deadlines when they are due: one timer for all of them, set to the next. */
import type { Clock } from "../clock.js";
import type { Core } from "../core/core.js";

/** `setTimeout` overflows at 24.8 days; looking again once a day costs nothing. */
const SLEEP_MS_MAX = 86_400_000;

export class DeadlineTimer {
  readonly #core: Core;
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | null = null;
  #armedFor = Number.POSITIVE_INFINITY;
  #state: "running" | "stopped" = "stopped";

  constructor(core: Core, clock: Clock) {
    this.#core = core;
    this.#clock = clock;
  }

  start(): void {
    this.#state = "running";
    this.arm();
  }

  stop(): void {
    this.#state = "stopped";
    this.#disarm();
  }

  /** To be called after decisions: an earlier deadline may have come up. */
  arm(): void {
    const { nextDeadlineAt: nextAt } = this.#core;
    if (this.#state === "stopped" || nextAt === null || nextAt >= this.#armedFor) return;
    this.#disarm();
    this.#armedFor = nextAt;
    const delayMs = Math.min(Math.max(0, nextAt - this.#clock.now()), SLEEP_MS_MAX);
    this.#timer = setTimeout(() => this.runOnce(), delayMs);
  }

  runOnce(): void {
    this.#disarm();
    this.#core.fireDeadlines(this.#clock.now());
    this.arm();
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#armedFor = Number.POSITIVE_INFINITY;
  }
}
