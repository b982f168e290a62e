import { z } from "zod";
import { PositiveDurationMs } from "./time.js";

/** Why an attempt or a task did not complete, as it crosses the wire. `type` is what retry policies match on. */
export interface Failure {
  type: string;
  message: string;
  stack?: string | undefined;
  nonRetryable?: boolean | undefined;
  /** Whatever the thrower adds; any JSON. */
  details?: unknown;
  /** Waits this long before the next attempt, in place of what the retry policy says. */
  nextRetryDelayMs?: number | undefined;
  cause?: Failure | undefined;
}
export const Failure: z.ZodType<Failure> = z.object({
  type: z.string().max(256),
  message: z.string(),
  stack: z.string().optional(),
  nonRetryable: z.boolean().optional(),
  details: z.unknown().optional(),
  nextRetryDelayMs: PositiveDurationMs.optional(),
  get cause(): z.ZodOptional<z.ZodType<Failure>> {
    return Failure.optional();
  },
});

/** What an attempt cost, as its agent reports it. */
export const Usage = z.object({
  /** US dollars. */
  cost: z.number().nonnegative(),
  tokens: z.object({ input: z.number().nonnegative(), output: z.number().nonnegative() }),
  model: z.string().max(256),
});
export type Usage = z.infer<typeof Usage>;

/** What all attempts of a task cost together; the model is the last one's. */
export function addUsage(before: Usage | null, more: Usage | null): Usage | null {
  if (before === null || more === null) return more ?? before;
  const input = before.tokens.input + more.tokens.input;
  const output = before.tokens.output + more.tokens.output;
  return { cost: before.cost + more.cost, tokens: { input, output }, model: more.model };
}
