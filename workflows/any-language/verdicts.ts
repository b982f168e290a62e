/** What the author of an agent reads. */
import type { Verdict } from "./rule.js";

export function describeVerdict({ rule, outcome, why }: Verdict): string {
  switch (outcome) {
    case "kept":
      return `  ok    ${rule.name}`;
    case "not checked":
      return `  -     ${rule.name} (${why})`;
    case "broken": {
      const word = rule.weight === "must" ? "FAIL" : "warn";
      const lines = [`seen: ${why}`, `do:   ${rule.advice}`, `see:  docs/wire-protocol.md#${rule.chapter}`];
      return [`  ${word}  ${rule.name}`, ...lines.map((line) => `          ${line}`)].join("\n");
    }
  }
}

export function summarise(verdicts: readonly Verdict[]): string {
  const broken = verdicts.filter(({ outcome }) => outcome === "broken");
  const musts = broken.filter(({ rule }) => rule.weight === "must").length;
  const open = verdicts.filter(({ outcome }) => outcome === "not checked").length;
  const kept = `${verdicts.length - broken.length - open} rules kept`;
  const parts = [kept, `${musts} broken that must be kept`, `${broken.length - musts} broken that should be`];
  return `\n${parts.join(", ")}, ${open} not checked.`;
}
