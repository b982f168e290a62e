/** What the specialists are asked for. */
import { task } from "perdure";
import { z } from "zod";
import type { TeamNames } from "./names.js";

const PlaceShape = z.object({ file: z.string(), line: z.int() });

export const Candidate = z.object({
  ...PlaceShape.shape,
  strategy: z.string(),
  before: z.string(),
  after: z.string(),
});
export type Candidate = z.infer<typeof Candidate>;

/** A place as it was reported: the file may be named as on another machine. */
const Reported = PlaceShape;

export const SimilarCode = z.object({
  ...PlaceShape.shape,
  text: z.string(),
  /** The line of the reported function that it is like. */
  like: z.int(),
  /** What stands there, and what stands in the reported function in its place; null where they are alike. */
  difference: z.object({ here: z.string(), there: z.string() }).nullable(),
});
export type SimilarCode = z.infer<typeof SimilarCode>;

export const Research = z.object({ place: PlaceShape.nullable(), similar: z.array(SimilarCode), summary: z.string() });
export type Research = z.infer<typeof Research>;

export const Implementation = z.object({ candidates: z.array(Candidate), tried: z.int(), summary: z.string() });
export type Implementation = z.infer<typeof Implementation>;

export const Reproduction = z.object({
  isReproduced: z.boolean(),
  failed: z.int(),
  passed: z.int(),
  summary: z.string(),
});
export type Reproduction = z.infer<typeof Reproduction>;

export const Review = z.object({ accepted: Candidate.nullable(), patch: z.string(), summary: z.string() });
export type Review = z.infer<typeof Review>;

/** Tests are run, some of them many times; what hangs is ended by the specialist long before. */
const timeouts = { startToClose: "10m" } as const;
const retry = { maximumAttempts: 3 } as const;

export function tasksOf({ type }: TeamNames) {
  return {
    /** "Find similar bugs." */
    research: task(type("research"), { input: z.object({ place: Reported }), output: Research, timeouts, retry }),
    /** "Apply the fix." */
    implement: task(type("implement"), {
      input: z.object({ place: Reported }),
      output: Implementation,
      timeouts,
      retry,
    }),
    /** Whether the error can be seen at all, before anything is changed. */
    reproduce: task(type("reproduce"), {
      input: z.object({ place: Reported, error: z.string() }),
      output: Reproduction,
      timeouts,
      retry,
    }),
    /** "Verify, run the tests." */
    review: task(type("review"), {
      input: z.object({ place: Reported, candidates: z.array(Candidate), similar: z.array(SimilarCode) }),
      output: Review,
      timeouts,
      retry,
    }),
  };
}
