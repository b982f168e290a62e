/** One thing that an agent has to do, how it is found out, and what to do where it does not. */
import type { AgentProxy } from "./agent-proxy.js";
import type { CheckOptions } from "./check-options.js";
import type { PlayedOrchestrator } from "./played-orchestrator.js";

/** The agent's process, as far as the check has it in its hand. */
export interface AgentAtHand {
  readonly isOurs: boolean;
  readonly end: string | null;
  readonly lastWords: string;
  start(): void;
  send(signal: NodeJS.Signals): void;
  ended(limitMs: number): Promise<string | null>;
  missing(): string | null;
}

/** What the check of a rule has at hand, with an orchestrator that is played. */
export interface Scene {
  readonly options: CheckOptions;
  readonly agent: AgentAtHand;
  readonly proxy: AgentProxy;
  readonly played: PlayedOrchestrator;
}

export interface Rule<At extends { readonly options: CheckOptions } = Scene> {
  /** Of the agent: "registers until it is confirmed". */
  readonly name: string;
  /** Work is lost or done twice without a `must`; a `should` costs time, or safety in rare cases. */
  readonly weight: "must" | "should";
  /** What to do if it is broken. */
  readonly advice: string;
  /** Heading in docs/wire-protocol.md. */
  readonly chapter: string;
  /** Not checked without it. */
  readonly needs?: "--slow-input" | "--bad-input" | "a command";
  /** About what was seen before: the agent may be gone. */
  readonly looksBack?: true;
  /** Null if it is kept, else what was seen. */
  readonly check: (scene: At) => Promise<string | null>;
}

export interface Verdict {
  readonly rule: Omit<Rule, "check">;
  readonly outcome: "kept" | "broken" | "not checked";
  /** What was seen, or what is missing for the check. */
  readonly why: string;
}

/** Judges one rule after another; `prepare` sees to it that there is an agent to judge, or says why there is none. */
export async function judgeAll<At extends { readonly options: CheckOptions }>(
  rules: readonly Rule<At>[],
  scene: At,
  prepare: (scene: At) => Promise<string | null>,
  note: (verdict: Verdict) => void,
): Promise<void> {
  for (const rule of rules.filter(({ name }) => name.includes(scene.options.only))) {
    if (rule.needs !== undefined && !isGiven(rule.needs, scene.options)) {
      note({ rule, outcome: "not checked", why: `needs ${rule.needs}` });
      continue;
    }
    const missing = await prepare(scene);
    if (missing !== null && rule.looksBack !== true) {
      note({ rule, outcome: "not checked", why: missing });
      continue;
    }
    const seen = await rule.check(scene);
    note(seen === null ? { rule, outcome: "kept", why: "" } : { rule, outcome: "broken", why: seen });
  }
}

function isGiven(needed: NonNullable<Rule["needs"]>, options: CheckOptions): boolean {
  switch (needed) {
    case "--slow-input":
      return options.slowInput !== undefined;
    case "--bad-input":
      return options.badInput !== undefined;
    case "a command":
      return options.command.length > 0;
  }
}
