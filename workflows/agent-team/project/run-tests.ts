/** Runs a project's tests with Node's own runner and reads what it reports (TAP). */
import { spawn } from "node:child_process";
import { realpath } from "node:fs/promises";
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

/** A change that makes a loop endless must not hold the team up. */
const timeoutMsDefault = 30_000;
const outputLengthMax = 4_000_000;

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
  const child = spawn(process.execPath, ["--test", "--test-reporter=tap"], {
    cwd: folder,
    // Nothing that this process was given goes to code that is being tried out.
    env: { PATH, HOME, LANG },
    stdio: ["ignore", "pipe", "ignore"],
    // A group of its own: the runner starts a process for each file, and one that never ends is ended with it.
    detached: true,
  });
  let isTimedOut = false;
  const kill = (): void => {
    if (child.pid === undefined || child.exitCode !== null) return;
    process.kill(-child.pid, "SIGKILL");
  };
  const timer = setTimeout(() => {
    isTimedOut = true;
    kill();
  }, timeoutMs);
  signal.addEventListener("abort", kill, { once: true });
  try {
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (output.length < outputLengthMax) output += text;
    });
    await new Promise<void>((resolve, reject) => child.once("error", reject).once("close", () => resolve()));
    signal.throwIfAborted();
    return testRunOf(output, await realpath(folder), isTimedOut);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", kill);
  }
}

function testRunOf(tap: string, folder: string, isTimedOut: boolean): TestRun {
  const count = (what: string): number => Number(tap.match(new RegExp(`^# ${what} (\\d+)$`, "m"))?.[1] ?? 0);
  const failures = [...tap.matchAll(/^\s*not ok \d+ - (.*)\n\s*---\n([\s\S]*?)^\s*\.\.\.$/gm)]
    .map(([, test = "", details = ""]) => failureOf(test, details, folder))
    // Of a file, the runner says only that a test in it failed.
    .filter((failure) => failure.error !== "");
  const passed = count("pass");
  const failed = isTimedOut ? Math.max(1, count("fail")) : count("fail") + count("cancelled");
  const total = passed + failed;
  const why = isTimedOut ? " (they did not end in time)" : "";
  const which = failures.map(({ test, error }) => `\n- ${test}: ${error.split("\n")[0]}`).join("");
  const summary = failed === 0 ? `all ${total} tests passed` : `${failed} of ${total} tests failed${why}${which}`;
  return { passed, failed, failures, summary };
}

function failureOf(test: string, details: string, folder: string): TestFailure {
  const field = (name: string): string => {
    const block = details.match(new RegExp(`^(\\s*)${name}: \\|-\\n((?:\\1  .*\\n|\\s*\\n)*)`, "m"));
    if (block !== null) return (block[2] ?? "").replaceAll(new RegExp(`^${block[1]}  `, "gm"), "").trim();
    const line = details.match(new RegExp(`^\\s*${name}: (.*)$`, "m"))?.[1] ?? "";
    return line.replace(/^(['"])(.*)\1$/, "$2");
  };
  if (field("failureType") !== "testCodeFailure") return { test, error: "", stack: "", places: [] };
  const stack = field("stack");
  const places = [...stack.matchAll(/\(?((?:file:\/\/)?\/[^()\s]+):(\d+):\d+\)?/g)].flatMap(([, path = "", line]) => {
    const within = relative(folder, path.startsWith("file:") ? fileURLToPath(path) : path);
    return within === "" || isAbsolute(within) || within.startsWith("..") ? [] : [{ file: within, line: Number(line) }];
  });
  return { test, error: `${field("name") || "Error"}: ${field("error")}`, stack, places };
}
