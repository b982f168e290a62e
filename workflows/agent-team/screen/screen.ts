/** What stands between a report and everybody who could read it. */
import type { ErrorReport } from "../messages.js";

export const rejectionReason = "prompt_injection_detected";

export type Verdict =
  | { readonly verdict: "pass" }
  | { readonly verdict: "rejected"; readonly reason: typeof rejectionReason; readonly rule: string };

/**
 * Judges a report before anything reads it. Any function of this shape can take the place of `ruleScreen`, a classifier
 * that asks a model for instance. One that throws, or is not done within a minute, lets nothing through: the report stays
 * unread until it can be judged.
 */
export type Screen = (report: ErrorReport) => Verdict | Promise<Verdict>;

const patienceMsDefault = 60_000;

/** What does not say "pass" rejects. @throws where the screen does, or takes longer than `patienceMs` */
export async function mayPass(screen: Screen, report: ErrorReport, patienceMs = patienceMsDefault): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the screen came to no verdict within ${patienceMs} ms`)), patienceMs);
  });
  try {
    const { verdict } = await Promise.race([screen(report), late]);
    return verdict === "pass";
  } finally {
    clearTimeout(timer);
  }
}
