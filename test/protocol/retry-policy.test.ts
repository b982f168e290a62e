import fc from "fast-check";
import { expect, it } from "vitest";
import { DURATION_MS_MAX } from "../../src/protocol/limits.js";
import { completeRetryPolicy, RetryPolicyInput, retryDelayMs } from "../../src/protocol/retry-policy.js";

it("has Temporal's defaults, but three attempts", () => {
  expect(completeRetryPolicy(undefined)).toEqual({
    maximumAttempts: 3,
    initialIntervalMs: 1_000,
    backoffCoefficient: 2,
    maximumIntervalMs: 100_000,
    nonRetryableErrorTypes: [],
  });
});

it("caps the delay at a hundred times the first one that was given", () => {
  expect(completeRetryPolicy({ initialIntervalMs: 20 }).maximumIntervalMs).toBe(2_000);
});

it("keeps 0 attempts, which means no limit", () => {
  expect(completeRetryPolicy({ maximumAttempts: 0 }).maximumAttempts).toBe(0);
});

it.each<[RetryPolicyInput, number[]]>([
  [{}, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 100_000, 100_000]],
  [{ backoffCoefficient: 1 }, [1_000, 1_000, 1_000]],
  [{ backoffCoefficient: 1.5 }, [1_000, 1_500, 2_250, 3_375, 5_063]],
  [{ initialIntervalMs: 1, backoffCoefficient: 10 }, [1, 10, 100, 100]],
  [{ maximumIntervalMs: 1_000 }, [1_000, 1_000]],
  [{ maximumIntervalMs: 3_000 }, [1_000, 2_000, 3_000, 3_000]],
])("waits after each attempt as %j says", (given, delays) => {
  const policy = completeRetryPolicy(given);
  expect(delays.map((_, index) => retryDelayMs(policy, index + 1))).toEqual(delays);
});

const anyPolicy = fc
  .record(
    {
      initialIntervalMs: fc.integer({ min: 1, max: DURATION_MS_MAX }),
      backoffCoefficient: fc.double({ min: 1, max: 1_000, noNaN: true }),
      maximumIntervalMs: fc.integer({ min: 1, max: DURATION_MS_MAX }),
    },
    { requiredKeys: [] },
  )
  .filter((policy) => RetryPolicyInput.safeParse(policy).success)
  .map(completeRetryPolicy);

it("waits whole milliseconds, never less than before and never more than the maximum", () => {
  fc.assert(
    fc.property(anyPolicy, fc.integer({ min: 1, max: 1_000_000 }), (policy, attempt) => {
      const delay = retryDelayMs(policy, attempt);
      expect(Number.isSafeInteger(delay)).toBe(true);
      expect(delay).toBeLessThanOrEqual(Math.round(policy.maximumIntervalMs));
      expect(delay).toBeLessThanOrEqual(retryDelayMs(policy, attempt + 1));
      expect(delay).toBeGreaterThanOrEqual(1);
    }),
  );
});

it.each<[unknown, "good" | "bad"]>([
  [{}, "good"],
  [{ maximumAttempts: 0 }, "good"],
  [{ maximumAttempts: 1_000_000 }, "good"],
  [{ maximumAttempts: 1_000_001 }, "bad"],
  [{ maximumAttempts: -1 }, "bad"],
  [{ maximumAttempts: 1.5 }, "bad"],
  [{ maximumAttempts: "3" }, "bad"],
  [{ initialIntervalMs: 0 }, "bad"],
  [{ initialIntervalMs: DURATION_MS_MAX }, "good"],
  [{ initialIntervalMs: DURATION_MS_MAX + 1 }, "bad"],
  [{ backoffCoefficient: 0.9 }, "bad"],
  [{ backoffCoefficient: 1_001 }, "bad"],
  [{ backoffCoefficient: Number.POSITIVE_INFINITY }, "bad"],
  [{ maximumIntervalMs: 999 }, "bad"],
  [{ maximumIntervalMs: 1_000 }, "good"],
  [{ initialIntervalMs: 500, maximumIntervalMs: 499 }, "bad"],
  [{ initialIntervalMs: 500, maximumIntervalMs: 500 }, "good"],
  [{ nonRetryableErrorTypes: ["x".repeat(256)] }, "good"],
  [{ nonRetryableErrorTypes: ["x".repeat(257)] }, "bad"],
  [{ nonRetryableErrorTypes: Array(101).fill("x") }, "bad"],
])("takes the policy %j for a %s one", (policy, verdict) => {
  expect(RetryPolicyInput.safeParse(policy).success ? "good" : "bad").toBe(verdict);
});
