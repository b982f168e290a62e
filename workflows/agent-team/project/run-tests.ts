/** Runs a project's tests with Node's own runner and reads what it reports (TAP). */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { realpath } from "node:fs/promises";
import { isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { endGroup, endMarked, markVariable } from "./end-processes.js";
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

/** A change that makes a loop endless must not hold the team up. */
const timeoutMsDefault = 30_000;
/** Characters; of all that is printed about failures, and of a line of it. */
const outputLengthMax = 4_000_000;
const lineLengthMax = 20_000;
/** A summary is read by people, and goes out in one message. */
const failuresToldMax = 10;
const failureLengthMax = 300;

/** Runs the arguments, and beside them what ends the whole group when the team's process is gone: its end of the pipe is then closed. */
const endWithTheTeam = 'exec 3<&0 </dev/null; { read -r _ <&3; kill -KILL 0; } >/dev/null & exec "$@" 3<&-';

export interface TestOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

export async function runTests(
  folder: string,
  { signal, timeoutMs = timeoutMsDefault }: TestOptions,
): Promise<TestRun> {
  signal.throwIfAborted();
  const { PATH, HOME, LANG } = process.env;
  const mark = randomUUID();
  const command = [process.execPath, "--test", "--test-reporter=tap"];
  const child = spawn("/bin/sh", ["-c", endWithTheTeam, "sh", ...command], {
    cwd: folder,
    // Nothing that this process was given goes to code that is being tried out.
    env: { PATH, HOME, LANG, [markVariable]: mark },
    stdio: ["pipe", "pipe", "ignore"],
    // A group of its own: the runner starts a process for each file, and one that never ends is ended with it.
    detached: true,
  });
  let isTimedOut = false;
  const end = (): void => endGroup(child.pid);
  const timer = setTimeout(() => {
    isTimedOut = true;
    end();
  }, timeoutMs);
  signal.addEventListener("abort", end, { once: true });
  try {
    const tap = new TapReader();
    child.stdout.setEncoding("utf8").on("data", (text: string) => tap.add(text));
    await new Promise<void>((resolve, reject) =>
      child
        .once("error", reject)
        // What tests started and left behind may hold the output open for ever.
        .once("exit", () => {
          end();
          endMarked(mark).catch(reject);
        })
        .once("close", () => resolve()),
    );
    await endMarked(mark);
    signal.throwIfAborted();
    return testRunOf(tap, await realpath(folder), isTimedOut);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/** Takes in what the runner tells; what tests print themselves is left out, however much it is. */
class TapReader {
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

function testRunOf(tap: TapReader, folder: string, isTimedOut: boolean): TestRun {
  // Blanks only, and no other white space: a message of many empty lines would be gone through for each of them.
  const failures = [...tap.text.matchAll(/^ *not ok \d+ - (.*)\n *---\n([\s\S]*?)^ *\.\.\.$/gm)]
    .map(([, test = "", details = ""]) => failureOf(test, details, folder))
    // Of a file, the runner says only that a test in it failed.
    .filter((failure) => failure.error !== "");
  const passed = tap.count("pass") ?? 0;
  const told = (tap.count("fail") ?? 0) + (tap.count("cancelled") ?? 0);
  const isWhole = !isTimedOut && tap.count("cancelled") !== null;
  const failed = isWhole ? told : Math.max(1, told);
  const total = passed + failed;
  const why = isTimedOut ? " (they did not end in time)" : isWhole ? "" : " (their runner broke off)";
  const which = failures
    .slice(0, failuresToldMax)
    .map(({ test, error }) => `\n- ${`${test}: ${error.split("\n")[0]}`.slice(0, failureLengthMax)}`);
  const more = failures.length > failuresToldMax ? `\n- and ${failures.length - failuresToldMax} more` : "";
  const summary =
    total === 0
      ? "the project has no tests"
      : failed === 0
        ? `all ${total} tests passed`
        : `${failed} of ${total} tests failed${why}${which.join("")}${more}`;
  return { passed, failed, failures, summary };
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
