/**
 * Runs a program to its end, with a time limit and bounded output, and without a shell. How it went is data: the
 * callers here try several programs in turn and report all the reasons together.
 */
import { execFile } from "node:child_process";

export type CommandResult =
  | { readonly outcome: "succeeded"; readonly stdout: string }
  | { readonly outcome: "failed"; readonly reason: string };

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly cwd?: string;
  /** The whole environment of the program; this process's own when absent. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

/** Enough for `apt-get update` on many sources; a program that prints more is stopped. */
const outputBytesMax = 4 * 1024 * 1024;

/** Rejects only with the abort reason of `options.signal`. */
export function runCommand(file: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const { signal, timeoutMs, cwd, environment } = options;
  return new Promise((resolve, reject) => {
    const settings = {
      timeout: timeoutMs,
      // SIGTERM can be ignored; these programs keep nothing that a SIGKILL would damage.
      killSignal: "SIGKILL",
      maxBuffer: outputBytesMax,
      encoding: "utf8",
      ...(cwd === undefined ? {} : { cwd }),
      ...(environment === undefined ? {} : { env: environment }),
      ...(signal === undefined ? {} : { signal }),
    } as const;
    execFile(file, args, settings, (error, stdout, stderr) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
      } else if (error === null) {
        resolve({ outcome: "succeeded", stdout });
      } else if (error.killed === true) {
        resolve({ outcome: "failed", reason: `${file} gave no answer within ${timeoutMs} ms` });
      } else {
        resolve({ outcome: "failed", reason: `${file} failed: ${lastLine(stderr) ?? error.message}` });
      }
    });
  });
}

function lastLine(text: string): string | undefined {
  return text.trim().split("\n").at(-1)?.trim() || undefined;
}
