import { z } from "zod";
import { DURATION_MS_MAX } from "./limits.js";

/** A length of time in integer milliseconds. */
export const PositiveDurationMs = z.int().min(1).max(DURATION_MS_MAX);

/** An instant, epoch milliseconds. */
export const EpochMs = z.int().nonnegative();

/** NATS configures in nanoseconds; converted on the line that builds a configuration and nowhere else. */
export const nanosFromMs = (ms: number): number => ms * 1_000_000;

/** A length of time as people write it: milliseconds, or a number with a unit, `"1.5h"`, `"2 days"`. */
export type Duration = number | `${number}${DurationUnit}` | `${number} ${DurationUnit}`;
type DurationUnit = keyof typeof msOfUnit;

const msOfUnit = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  second: 1_000,
  seconds: 1_000,
  minute: 60_000,
  minutes: 60_000,
  hour: 3_600_000,
  hours: 3_600_000,
  day: 86_400_000,
  days: 86_400_000,
  week: 604_800_000,
  weeks: 604_800_000,
} as const;

const DURATION = /^(\d+(?:\.\d+)?) ?([a-z]+)$/;

/** Integer milliseconds, rounded up; null for what is no length of time or too long. */
export function durationMs(given: Duration | string): number | null {
  const ms = typeof given === "number" ? given : textMs(given);
  return Number.isFinite(ms) && ms >= 0 && ms <= DURATION_MS_MAX ? Math.ceil(ms) : null;
}

function textMs(text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  const factor = unit !== undefined && unit in msOfUnit ? msOfUnit[unit as DurationUnit] : Number.NaN;
  return Number(amount) * factor;
}
