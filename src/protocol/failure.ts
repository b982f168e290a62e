import { z } from "zod";

/** Why an attempt or a task did not complete, as it crosses the wire. `type` is what retry policies match on. */
export const Failure = z.object({
  type: z.string().max(256),
  message: z.string(),
  stack: z.string().optional(),
  nonRetryable: z.boolean().optional(),
});
export type Failure = z.infer<typeof Failure>;

/** What an attempt cost, as its agent reports it. */
export const Usage = z.object({
  /** US dollars. */
  cost: z.number().nonnegative(),
  tokens: z.object({ input: z.number().nonnegative(), output: z.number().nonnegative() }),
  model: z.string().max(256),
});
export type Usage = z.infer<typeof Usage>;
