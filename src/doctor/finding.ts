/** What a check says: what it saw, what is wrong with it and what to do, and what it could not look at. */
import type { Known } from "../jetstream/inspector.js";
import { type FindingCode, type Severity, severityOf } from "./finding-codes.js";

export const checkNames = [
  "connection",
  "server",
  "account",
  "streams",
  "subjects",
  "journal",
  "durability",
  "orchestrator",
  "clocks",
  "disk",
  "agents",
  "tasks",
] as const;
export type CheckName = (typeof checkNames)[number];

export interface Finding {
  /** Stable; each has a row in docs/doctor.md. */
  readonly code: FindingCode;
  readonly severity: Severity;
  /** What was seen: ids and figures, one or two sentences. */
  readonly summary: string;
  readonly advice: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface CheckReport {
  readonly check: CheckName;
  /** The worst of its findings; `skipped` where it could look at nothing. */
  readonly status: "ok" | Severity | "skipped";
  readonly seen: readonly string[];
  readonly findings: readonly Finding[];
  readonly skipped: readonly string[];
}

/** What one check writes down. */
export class Notes {
  readonly seen: string[] = [];
  readonly findings: Finding[] = [];
  readonly #skipped = new Set<string>();

  /** Completes the sentence "Seen: ...". */
  see(sentence: string): void {
    this.seen.push(sentence);
  }

  find(code: FindingCode, summary: string, advice: string, details: Finding["details"] = {}): void {
    this.findings.push({ code, severity: severityOf[code], summary, advice, details });
  }

  /** @param why completes "not checked: ..." */
  skip(why: string): void {
    this.#skipped.add(why);
  }

  /** The value, or undefined after noting why it is not known. */
  need<T>(fact: Known<T>): T | undefined {
    if (fact.known) return fact.value;
    this.skip(fact.why);
    return undefined;
  }

  report(check: CheckName): CheckReport {
    const { seen, findings } = this;
    const skipped = [...this.#skipped];
    const nothingSeen = seen.length === 0 && skipped.length > 0;
    const status = findings.some(({ severity }) => severity === "problem")
      ? "problem"
      : findings.length > 0
        ? "warning"
        : nothingSeen
          ? "skipped"
          : "ok";
    return { check, status, seen, findings, skipped };
  }
}
