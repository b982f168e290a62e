/**
 * Starts nats-server as a child that owns its store directory and cannot outlive this process.
 *
 * A small `sh` does three things and then becomes the server by `exec`, so the server is our direct child, with the
 * shell's pid and a true exit code:
 *
 * 1. It starts a guard, a second `sh` that reads a pipe whose other end only this process holds. However this process
 *    dies, kill -9 included, the kernel closes that end; the guard then asks the server to stop and a second later
 *    kills it, frozen or not. The guard is there before the server is, so no moment is uncovered. Should somebody kill
 *    the guard alone, this process sees the pipe end and starts another.
 * 2. It locks the store directory. The lock is on a file descriptor that the server inherits, so it lasts exactly as
 *    long as the server, leaves nothing stale, and does not care for pids, which repeat in containers. A lock that is
 *    taken is tried again for a while: its holder may be a server that is dying with its parent.
 * 3. It reports the lock and waits for the word to go on, so that this process can write files that only the owner of
 *    the directory may touch.
 *
 * The server has a session of its own: Ctrl-C in a terminal reaches the engine, which drains first and then stops the
 * server. It has no pipe to us for its output, because a paused reader would block it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";

export interface LaunchOptions {
  readonly binary: string;
  readonly args: readonly string[];
  readonly workingFolder: string;
  readonly lockPath: string;
  /** Replaced with what the program writes to stderr. */
  readonly stderrPath: string;
}

export interface ProcessExit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SupervisedProcess {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  /** "held": `proceed` may be called. Otherwise the process has ended, or is about to, without doing anything. */
  readonly lock: Promise<LockOutcome>;
  /** Lets the shell become the program. */
  proceed(): void;
  /** Sends a signal to the program; does nothing when it has ended. */
  kill(signal: NodeJS.Signals): void;
}

export type LockOutcome = "held" | "takenByAnother" | "impossible" | "endedBefore";

/** 50 ms apart: longer than the guard's second of grace, and still a refusal within two seconds. */
const lockAttemptsMax = 30;

/** Distinct from each other and from nats-server, which ends with 0 or 1. */
const exitCodeTaken = 75;
const exitCodeImpossible = 76;

/** A guard that dies this often is being killed on purpose, or cannot run at all. */
const guardsMax = 10;

/** `guard <pid>`: returns on a line, kills on end of file. A shell without `sleep 0.1` only kills sooner. */
const guardFunction = `
guard() {
  trap "" HUP INT TERM
  if read -r _ <&3; then return; fi
  kill -TERM "$1"
  attempts=0
  while kill -0 "$1" && [ "$attempts" -lt 10 ]; do
    sleep 0.1
    attempts=$((attempts + 1))
  done
  kill -KILL "$1"
}
`;

/** Arguments: lock file, stderr file, program, its arguments. macOS has no flock, but like Debian it has perl. */
const launchScript = `${guardFunction}
lock=$1 stderr=$2
shift 2
guard $$ 4>&- &
if command -v flock; then
  try_lock() { flock -n 9; }
elif command -v perl; then
  try_lock() { perl -MErrno -e 'open(F, ">>&=9") or exit 2; flock(F, 6) or exit($!{EWOULDBLOCK} ? 1 : 2)'; }
else
  exit ${exitCodeImpossible}
fi
umask 077
exec 9>>"$lock"
attempts=1
while try_lock; outcome=$?; [ "$outcome" -ne 0 ]; do
  [ "$outcome" -eq 1 ] || exit ${exitCodeImpossible}
  [ "$attempts" -lt ${lockAttemptsMax} ] || exit ${exitCodeTaken}
  sleep 0.05
  attempts=$((attempts + 1))
done
echo held >&4
read -r _ <&4 || exit 0
exec "$@" 2>"$stderr" 3<&- 4<&-
`;

const guardScript = `${guardFunction}
guard "$1"
`;

/** Rejects when `sh` itself cannot be started. */
export async function launchSupervised(options: LaunchOptions): Promise<SupervisedProcess> {
  const { binary, args, workingFolder, lockPath, stderrPath } = options;
  const child = spawn("/bin/sh", ["-c", launchScript, "perdure-launch", lockPath, stderrPath, binary, ...args], {
    cwd: workingFolder,
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  const exited = exitOf(child);
  await spawned(child);
  const pid = child.pid;
  if (pid === undefined) {
    throw new Error("a spawned process has no pid");
  }
  const gate = pipeAt(child, 4);
  keepGuarded(pid, child, exited);
  return {
    pid,
    exited,
    lock: lockOutcome(gate, exited),
    proceed: () => {
      gate.end("go\n");
    },
    kill: (signal) => {
      child.kill(signal);
    },
  };
}

function lockOutcome(gate: Duplex, exited: Promise<ProcessExit>): Promise<LockOutcome> {
  const held = new Promise<LockOutcome>((resolve) => {
    gate.once("data", () => resolve("held"));
  });
  const ended = exited.then(({ code }): LockOutcome => {
    if (code === exitCodeTaken) {
      return "takenByAnother";
    }
    return code === exitCodeImpossible ? "impossible" : "endedBefore";
  });
  return Promise.race([held, ended]);
}

/** Sees to it that a guard exists for as long as the process does, and goes when it does. */
function keepGuarded(pid: number, firstGuardHost: ChildProcess, exited: Promise<ProcessExit>): void {
  let lifeline = pipeAt(firstGuardHost, 3);
  let guards = 1;
  let life: "running" | "ended" = "running";
  void exited.then(() => {
    life = "ended";
    lifeline.end("ended\n");
  });
  const replaceWhenGone = (): void => {
    lifeline.once("close", () => {
      if (life === "ended" || guards >= guardsMax) {
        return;
      }
      guards += 1;
      const guard = spawn("/bin/sh", ["-c", guardScript, "perdure-guard", String(pid)], {
        detached: true,
        stdio: ["ignore", "ignore", "ignore", "pipe"],
      });
      // Without another process to be had the server goes on unguarded: better than stopping a healthy one.
      guard.once("error", () => undefined);
      guard.unref();
      lifeline = pipeAt(guard, 3);
      replaceWhenGone();
    });
  };
  replaceWhenGone();
}

/** The parent's end of an extra pipe. The other end may go at any time, and "close" tells that, not an error. */
function pipeAt(child: ChildProcess, descriptor: 3 | 4): Duplex {
  const pipe = child.stdio[descriptor] as Duplex;
  pipe.on("error", () => undefined);
  pipe.resume();
  return pipe;
}

function exitOf(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
}
