/** Prints how well the rules do on both parts of the corpus: `node dist/workflows/agent-team/screen/benchmark.js [--list]`. */
import { parseArgs } from "node:util";
import { type Part, readCorpus, type Sample } from "./corpus.js";
import { measure } from "./measure.js";
import { ruleScreen } from "./rule-screen.js";

/** `--list` names what was missed in the tuned part. Not in the other: who looks there writes rules for it. */
const { list } = parseArgs({ options: { list: { type: "boolean", default: false } } }).values;
const named = ({ id, family, report }: Sample): string => `  ${id} (${family}): ${report.error.slice(0, 100)}`;

for (const part of ["tuned", "held-out"] satisfies Part[]) {
  const samples = readCorpus(part);
  const startedAt = performance.now();
  const { attacks, harmless, precision, recall, missed, falselyRejected } = await measure(ruleScreen, samples);
  const eachMs = (performance.now() - startedAt) / samples.length;
  console.log(
    `${part.padEnd(8)}  precision ${precision.toFixed(3)}  recall ${recall.toFixed(3)}  (${attacks} attacks, ${missed.length} missed; ` +
      `${harmless} harmless, ${falselyRejected.length} rejected; ${eachMs.toFixed(1)} ms a report)`,
  );
  if (!list || part === "held-out") continue;
  for (const sample of missed) console.log(`  missed${named(sample)}`);
  for (const sample of falselyRejected) console.log(`  rejected${named(sample)}`);
}
