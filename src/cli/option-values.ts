/** What people may write after an option, and what it means inside. Everything else is a usage error. */
import { InvalidArgumentError } from "commander";
import { DURATION_MS_MAX } from "../protocol/limits.js";

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "500ms", "1.5s", "30s", "5m", "2h", "1d" -> whole milliseconds. */
export function parseDuration(text: string): number {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const durationMs = Math.round(Number(amount) * (unitMs[unit] ?? 0));
  if (durationMs >= 1 && durationMs <= DURATION_MS_MAX) return durationMs;
  throw new InvalidArgumentError("Give a number and its unit: 500ms, 30s, 5m, 2h or 1d.");
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new InvalidArgumentError("Give a whole number, 0 or more.");
}

const PORT_MAX = 65_535;

/** 0 takes a free one. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= PORT_MAX) return port;
  throw new InvalidArgumentError(`Give a port from 0 (a free one) to ${PORT_MAX}.`);
}
