/** Runs a project's tests with Node's own runner, as processes that end with the team. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { realpath } from "node:fs/promises";
import { endGroup, endMarked, markVariable } from "./end-processes.js";
import { TapReader, type TestRun, testRunOf } from "./tap-report.js";

/** A change that makes a loop endless must not hold the team up. */
const timeoutMsDefault = 30_000;
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
