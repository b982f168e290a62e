import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../clock.js";

/** Milliseconds between samples of the event loop's delay: coarse, for it wakes an idle process each time. */
const SAMPLE_INTERVAL_MS = 100;

/** What this process uses, as heartbeats report it. */
export class ProcessMetrics {
  readonly #clock: Clock;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: SAMPLE_INTERVAL_MS });
  #cpuBefore = process.cpuUsage();
  #readBefore: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#readBefore = clock.monotonicNow();
    this.#delay.enable();
  }

  /** Figures that are rates or maxima are since the last reading. 100 percent is one processor. */
  read(): Readonly<Record<string, number>> {
    const now = this.#clock.monotonicNow();
    const cpu = process.cpuUsage(this.#cpuBefore);
    const elapsedMs = Math.max(1, now - this.#readBefore);
    const metrics = {
      cpuPercent: Math.round((cpu.user + cpu.system) / elapsedMs / 10),
      residentBytes: process.memoryUsage.rss(),
      // A sample is late by the delay, on top of the time between two samples.
      eventLoopDelayMsMax: Math.max(0, Math.round(this.#delay.max / 1_000_000) - SAMPLE_INTERVAL_MS),
    };
    this.#cpuBefore = process.cpuUsage();
    this.#readBefore = now;
    this.#delay.reset();
    return metrics;
  }

  stop(): void {
    this.#delay.disable();
  }
}
