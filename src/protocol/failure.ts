import { z } from "zod";
import { PositiveDurationMs } from "./time.js";

/** Why an attempt or a task did not complete, as it crosses the wire. `type` is what retry policies match on. */
export interface Failure {
  type: string;
  message: string;
  stack?: string | undefined;
  nonRetryable?: boolean | undefined;
  details?: unknown;
  nextRetryDelayMs?: number | undefined;
  cause?: Failure | undefined;
}
export const Failure: z.ZodType<Failure> = z.object({
  /** What kind of failure it is: an error code of the engine, or a name of the agent's own. */
  type: z.string().max(256),
  /** For people; kept up to 8,192 characters. */
  message: z.string(),
  /** For people; kept up to 16,384 characters. */
  stack: z.string().optional(),
  /** True: another attempt would fail in the same way, so there is none. */
  nonRetryable: z.boolean().optional(),
  /** Whatever the thrower adds, for whoever catches it; any JSON. */
  details: z.unknown().optional(),
  /** The next attempt waits this long, in place of what the retry policy says. */
  nextRetryDelayMs: PositiveDurationMs.optional(),
  /** What it came of. */
  get cause(): z.ZodOptional<z.ZodType<Failure>> {
    return Failure.optional();
  },
});

/** What an attempt cost, as its agent reports it. */
export const Usage = z.object({
  /** US dollars. */
  cost: z.number().nonnegative(),
  /** Of a language model; not the token of an attempt. */
  tokens: z.object({
    /** Read by the model. */
    input: z.number().nonnegative(),
    /** Written by it. */
    output: z.number().nonnegative(),
  }),
  /** Which model. */
  model: z.string().max(256),
});
export type Usage = z.infer<typeof Usage>;

type Amounts = Omit<Usage, "model">;

/** Agents may report whatever JSON has, and two of that together must still be a number of JSON. */
const plus = (a: number, b: number): number => Math.min(a + b, Number.MAX_VALUE);

export const addAmounts = (a: Amounts, b: Amounts): Amounts => ({
  cost: plus(a.cost, b.cost),
  tokens: { input: plus(a.tokens.input, b.tokens.input), output: plus(a.tokens.output, b.tokens.output) },
});

/** What all attempts of a task cost together; the model is the last one's. */
export function addUsage(before: Usage | null, more: Usage | null): Usage | null {
  if (before === null || more === null) return more ?? before;
  return { ...addAmounts(before, more), model: more.model };
}
