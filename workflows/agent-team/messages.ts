/**
 * What the team's members say to each other, field by field as their messages have it. What others write may have more
 * fields, and keeps them; what this application writes has these.
 */
import { z } from "zod";

const nonEmpty = z.string().min(1);
const basicOffset = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d{4}$/;

/** On `{p}.errors`, `{p}.errors.staging` and `{p}.errors.production`. */
export const ErrorReport = z.looseObject({
  error: nonEmpty,
  stack: z.string(),
  // Python's isoformat() leaves the zone out, its strftime("%z") the colon.
  timestamp: z.union([z.iso.datetime({ offset: true, local: true }), z.string().regex(basicOffset)]),
  context: z.looseObject({
    file: nonEmpty,
    line: z.coerce.number().int().min(0),
  }),
});
export type ErrorReport = z.infer<typeof ErrorReport>;

/** On `{p}.tasks.>`. */
export const TeamTask = z.looseObject({
  task_id: nonEmpty,
  type: nonEmpty,
  priority: z.union([z.string(), z.number()]),
  description: z.string(),
  /** Null where nobody in particular is meant. */
  assigned_to: z.string().nullable(),
  context: z.looseObject({}),
});
export type TeamTask = z.infer<typeof TeamTask>;

/** On `{p}.investigation.status.<task_id>`. */
export const Update = z.object({
  task_id: nonEmpty,
  agent: nonEmpty,
  status: nonEmpty,
  findings: z.string(),
  next_steps: z.array(z.string()),
});
export type Update = z.infer<typeof Update>;

/** On `{p}.results.fixed.<task_id>`. */
export const Result = z.object({
  task_id: nonEmpty,
  agent: nonEmpty,
  /** Of an investigation: `fixed`, or `unresolved` where nothing was found that holds. Of a task: how it ended. */
  status: nonEmpty,
  solution: z.string(),
  /** Empty where no pull request was opened. */
  pr_url: z.string(),
  test_results: z.string(),
});
export type Result = z.infer<typeof Result>;

/** On `{p}.security.rejected`. */
export const Rejected = z.object({
  reason: z.literal("prompt_injection_detected"),
  /** The first 100 characters. */
  preview: z.string(),
  timestamp: z.iso.datetime(),
});
export type Rejected = z.infer<typeof Rejected>;
