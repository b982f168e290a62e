/** The screen that is built in: rules over every reading of a report. It knows no model, no network and no clock. */
import type { ErrorReport } from "../messages.js";
import { fold } from "./fold.js";
import { type Reading, readingsOf } from "./readings.js";
import { type Rule, rejectAt, rules } from "./rules.js";
import { rejectionReason, type Verdict } from "./screen.js";
import { type Concept, type ConceptName, vocabulary } from "./vocabulary.js";

export interface Finding {
  readonly score: number;
  readonly how: string;
  /** Heaviest first. */
  readonly ruleIds: readonly string[];
}

export function ruleScreen(report: ErrorReport): Verdict {
  const { score, ruleIds } = worstReading(report);
  return score < rejectAt
    ? { verdict: "pass" }
    : { verdict: "rejected", reason: rejectionReason, rule: ruleIds[0] ?? "unknown" };
}

/** The reading that most looks like an order to a model, as far as it has to be known: the first that suffices is enough. */
export function worstReading(report: ErrorReport): Finding {
  let worst: Finding = { score: 0, how: "plain", ruleIds: [] };
  for (const reading of readingsOf(report)) {
    const broken = rulesBrokenBy(reading);
    const score = broken.reduce((sum, { weight }) => sum + weight, 0);
    if (score <= worst.score) continue;
    const ruleIds = broken.toSorted((a, b) => b.weight - a.weight).map(({ id }) => id);
    worst = { score, how: reading.how, ruleIds };
    if (score >= rejectAt) break;
  }
  return worst;
}

function rulesBrokenBy({ text, squeezed }: Reading): readonly Rule[] {
  return squeezed
    ? squeezedRules.filter(({ pattern }) => pattern.test(text)).map(({ rule }) => rule)
    : compiledRules.filter(({ pattern }) => pattern.test(text)).map(({ rule }) => rule);
}

interface CompiledRule {
  readonly rule: Rule;
  readonly pattern: RegExp;
}

const withinDefault = 40;
/** What lies between two concepts of a rule stays within the sentence. */
const gap = (characters: number): string => `(?:(?![.!?;](?: |$)|[。！？])[^]){0,${characters}}?`;

function source(name: ConceptName): string {
  const { words, parts = [] }: Concept = vocabulary[name];
  const bounded = words.length === 0 ? [] : [`(?<![\\p{L}\\p{N}])(?:${folded(words)})(?![\\p{L}\\p{N}])`];
  return `(?:${[...bounded, ...(parts.length === 0 ? [] : [folded(parts)])].join("|")})`;
}

/** Folding makes small letters of all, also of the one in the name of a property. */
const folded = (alternatives: readonly string[]): string => fold(alternatives.join("|")).replaceAll("\\p{l}", "\\p{L}");

const compiledRules: readonly CompiledRule[] = rules.map((rule) => ({
  rule,
  pattern: new RegExp(rule.concepts.map(source).join(gap(rule.withinCharacters ?? withinDefault)), "u"),
}));

/** The few orders that are worth finding where words were taken apart: letters only, so names of things meet by chance too. */
const squeezedRules: readonly CompiledRule[] = [
  {
    rule: {
      id: "squeezed-dismiss",
      why: "tells the reader to set aside what it was told, with words taken apart",
      weight: 10,
      concepts: ["dismiss", "guidance"],
    },
    pattern:
      /(?<!cannot|cant|failedto|unableto|couldnot)(?:ignore|disregard|forget|override|bypass)(?:all|any|of|the|these)*(?:your|my|previous|prior|earlier|preceding|above|former|system|safety)+(?:of|the|your|own|system|safety)*(?:instruction|rule|guideline|directive|prompt|order|guidance|polic|command)/u,
  },
  {
    rule: {
      id: "squeezed-reveal",
      why: "asks for what the reader was set up with, with words taken apart",
      weight: 10,
      concepts: ["reveal", "ownPrompt"],
    },
    pattern:
      /(?<!cannot|failedto|unableto)(?:reveal|print|show|display|output|leak|repeat|dump)(?:me|us|all|of)*(?:the|your)(?:own|full|hidden|secret|initial|entire)*(?:systemprompt|systemmessage|instructions|prompt|secrets|apikey)/u,
  },
];
