/** What Node's test runner reports of a run (TAP). */
import { isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Place } from "./source-place.js";

export interface TestFailure {
  readonly test: string;
  /** `TypeError: Cannot read …` */
  readonly error: string;
  /** One line for each call, the innermost first. */
  readonly stack: string;
  /** Innermost first: lines of the project on the way to the failure. */
  readonly places: readonly Place[];
}

export interface TestRun {
  readonly passed: number;
  readonly failed: number;
  readonly failures: readonly TestFailure[];
  /** `2 of 5 tests failed: …` */
  readonly summary: string;
}

/** Characters; of all that is printed about failures, and of a line of it. */
const outputLengthMax = 4_000_000;
const lineLengthMax = 20_000;
/** A summary is read by people, and goes out in one message. */
const failuresToldMax = 10;
const failureLengthMax = 300;

/** Takes in what the runner tells; what tests print themselves is left out, however much it is. */
export class TapReader {
  /** As far as it is about tests. */
  text = "";
  readonly #counts = new Map<string, number>();
  #unfinished = "";

  add(chunk: string): void {
    const lines = (this.#unfinished + chunk).split("\n");
    this.#unfinished = (lines.pop() ?? "").slice(0, lineLengthMax);
    for (const line of lines) this.#take(line);
  }

  /** Null before the runner has come to its end. Of several the last one counts: tests may print such lines too. */
  count(what: "pass" | "fail" | "cancelled"): number | null {
    return this.#counts.get(what) ?? null;
  }

  #take(line: string): void {
    const [, what, count] = line.match(/^# (pass|fail|cancelled) (\d{1,9})$/) ?? [];
    if (what !== undefined) this.#counts.set(what, Number(count));
    else if (!line.startsWith("#") && this.text.length < outputLengthMax)
      this.text += `${line.slice(0, lineLengthMax)}\n`;
  }
}

/** @param folder of the project, without links in its path */
export function testRunOf(tap: TapReader, folder: string, isTimedOut: boolean): TestRun {
  // Blanks only, and no other white space: a message of many empty lines would be gone through for each of them.
  const failures = [...tap.text.matchAll(/^ *not ok \d+ - (.*)\n *---\n([\s\S]*?)^ *\.\.\.$/gm)]
    .map(([, test = "", details = ""]) => failureOf(test, details, folder))
    // Of a file, the runner says only that a test in it failed.
    .filter((failure) => failure.error !== "");
  const passed = tap.count("pass") ?? 0;
  const told = (tap.count("fail") ?? 0) + (tap.count("cancelled") ?? 0);
  const isWhole = !isTimedOut && tap.count("cancelled") !== null;
  const failed = isWhole ? told : Math.max(1, told);
  const why = isTimedOut ? " (they did not end in time)" : isWhole ? "" : " (their runner broke off)";
  return { passed, failed, failures, summary: summaryOf(passed, failed, why, failures) };
}

function summaryOf(passed: number, failed: number, why: string, failures: readonly TestFailure[]): string {
  const total = passed + failed;
  if (total === 0) return "the project has no tests";
  if (failed === 0) return `all ${total} tests passed`;
  const which = failures
    .slice(0, failuresToldMax)
    .map(({ test, error }) => `\n- ${`${test}: ${error.split("\n")[0]}`.slice(0, failureLengthMax)}`);
  const more = failures.length > failuresToldMax ? `\n- and ${failures.length - failuresToldMax} more` : "";
  return `${failed} of ${total} tests failed${why}${which.join("")}${more}`;
}

function failureOf(test: string, details: string, folder: string): TestFailure {
  const field = (name: string): string => {
    const block = details.match(new RegExp(`^( *)${name}: \\|-\\n((?:(?:\\1  .*)?\\n)*)`, "m"));
    if (block !== null) return (block[2] ?? "").replaceAll(new RegExp(`^${block[1]}  `, "gm"), "").trim();
    const line = details.match(new RegExp(`^ *${name}: (.*)$`, "m"))?.[1] ?? "";
    return line.replace(/^(['"])(.*)\1$/, "$2");
  };
  if (field("failureType") !== "testCodeFailure") return { test, error: "", stack: "", places: [] };
  const stack = field("stack");
  const places = [...stack.matchAll(/(?:^|\()((?:file:\/\/)?\/.+):(\d+):\d+\)?$/gm)].flatMap(([, path = "", line]) => {
    const within = relative(folder, pathOf(path));
    return within === "" || isAbsolute(within) || within.startsWith("..") ? [] : [{ file: within, line: Number(line) }];
  });
  return { test, error: `${field("name") || "Error"}: ${field("error")}`, stack, places };
}

/** A stack is text that code may have made up: an address that is none is a path that is not there. */
function pathOf(place: string): string {
  try {
    return place.startsWith("file:") ? fileURLToPath(place) : place;
  } catch {
    return place;
  }
}
