/** Samples of attacks and of harmless errors, each a report as it would come in. */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { ErrorReport } from "../messages.js";
import { ownFile } from "../own-file.js";

const Sample = z.object({
  id: z.string(),
  label: z.enum(["attack", "harmless"]),
  /** Of attacks: how it is tried. Of harmless ones: whose error it is. */
  family: z.string(),
  report: ErrorReport,
});
export type Sample = z.infer<typeof Sample>;

/** `tuned`: what the rules were written from. `held-out`: written before there were rules, and only measured. */
export type Part = "tuned" | "held-out";

export function readCorpus(part: Part): readonly Sample[] {
  const lines = readFileSync(ownFile(`corpus/${part}.jsonl`), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => Sample.parse(JSON.parse(line)));
}
