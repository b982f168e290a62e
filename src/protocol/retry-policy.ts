import { z } from "zod";
import { PositiveDurationMs } from "./time.js";

/**
 * When a failed attempt is followed by another, with Temporal's fields and defaults
 * (https://docs.temporal.io/encyclopedia/retry-policies).
 */
export const RetryPolicyInput = z
  .object({
    /** Attempts in all, the first included; 0 means no limit, 3 unless given. */
    maximumAttempts: z.int().min(0).max(1_000_000).optional(),
    /** From the first failure to the second attempt; 1,000 unless given. */
    initialIntervalMs: PositiveDurationMs.optional(),
    /** Each wait is this many times the one before; 2 unless given. */
    backoffCoefficient: z.number().min(1).max(1_000).optional(),
    /** The longest wait, not below `initialIntervalMs`; 100 times that unless given. */
    maximumIntervalMs: PositiveDurationMs.optional(),
    /** Exact matches on a failure's `type`: these are not tried again. */
    nonRetryableErrorTypes: z.array(z.string().max(256)).max(100).optional(),
  })
  .refine((policy) => (policy.maximumIntervalMs ?? Infinity) >= (policy.initialIntervalMs ?? 1_000), {
    error: "maximumIntervalMs must not be below initialIntervalMs (1000 where it is left out)",
    path: ["maximumIntervalMs"],
  });
export type RetryPolicyInput = z.infer<typeof RetryPolicyInput>;

export interface RetryPolicy {
  readonly maximumAttempts: number;
  readonly initialIntervalMs: number;
  readonly backoffCoefficient: number;
  readonly maximumIntervalMs: number;
  readonly nonRetryableErrorTypes: readonly string[];
}

/** For a task submitted on the wire: a stranger's typo should not be retried for ever, so attempts are bounded. */
export const WIRE_MAXIMUM_ATTEMPTS = 3;

const DEFAULT_POLICY: RetryPolicy = completed({});

/** The whole policy: what was given, and Temporal's defaults for the rest. */
export function completeRetryPolicy(given: RetryPolicyInput | undefined): RetryPolicy {
  return given === undefined ? DEFAULT_POLICY : completed(given);
}

function completed(given: RetryPolicyInput): RetryPolicy {
  const initialIntervalMs = given.initialIntervalMs ?? 1_000;
  return {
    maximumAttempts: given.maximumAttempts ?? WIRE_MAXIMUM_ATTEMPTS,
    initialIntervalMs,
    backoffCoefficient: given.backoffCoefficient ?? 2,
    maximumIntervalMs: given.maximumIntervalMs ?? initialIntervalMs * 100,
    nonRetryableErrorTypes: given.nonRetryableErrorTypes ?? [],
  };
}

/**
 * How long to wait after attempt number `attempt` (1 for the first) before the next one:
 * initialInterval x backoffCoefficient^(attempt - 1), at most maximumInterval. Integer milliseconds.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number): number {
  const grown = policy.initialIntervalMs * policy.backoffCoefficient ** (attempt - 1);
  return Math.round(Math.min(grown, policy.maximumIntervalMs));
}
