/** What stands between a report and everybody who could read it. */
import type { ErrorReport } from "../messages.js";

export const rejectionReason = "prompt_injection_detected";

export type Verdict =
  | { readonly verdict: "pass" }
  | { readonly verdict: "rejected"; readonly reason: typeof rejectionReason; readonly rule: string };

/**
 * Judges a report before anything reads it. Any function of this shape can take the place of `ruleScreen`, a classifier
 * that asks a model for instance. One that throws lets nothing through: the report stays unread until it can be judged.
 */
export type Screen = (report: ErrorReport) => Verdict | Promise<Verdict>;
