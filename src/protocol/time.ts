import { z } from "zod";
import { DURATION_MS_MAX } from "./limits.js";

/** A length of time in integer milliseconds. */
export const PositiveDurationMs = z.int().min(1).max(DURATION_MS_MAX);

/** An instant, epoch milliseconds. */
export const EpochMs = z.int().nonnegative();

/** NATS configures in nanoseconds; converted on the line that builds a configuration and nowhere else. */
export const nanosFromMs = (ms: number): number => ms * 1_000_000;
