/**
 * How long the demo lives: until its story is told, or until somebody or something stops it. The first reason counts;
 * a second signal ends it at once, and what it started is killed on the way out.
 */
import { type DemoExit, DemoStopped, demoExit } from "./demo-exit.js";

const exits = { SIGINT: demoExit.interrupted, SIGTERM: demoExit.terminated, SIGHUP: demoExit.hangup } as const;

export class Lifetime {
  readonly #stopped = new AbortController();
  readonly #stop: Promise<never>;

  constructor() {
    const { signal } = this.#stopped;
    this.#stop = new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    // Whoever waits for something is told through `orStopped`; at other times nobody waits.
    this.#stop.catch(() => undefined);
  }

  /** From here on signals, and a stdout that nobody reads any more, stop the demo. */
  obeySurroundings(): void {
    for (const [signal, exit] of Object.entries(exits)) {
      process.on(signal, () => {
        if (this.#stopped.signal.aborted) process.exit(exit);
        this.stop(stoppedBy(signal, exit));
      });
    }
    process.stdout.on("error", () => {
      this.stop(new DemoStopped(demoExit.outputClosed, "stdout was closed; the audit was given up."));
    });
    process.stderr.on("error", () => undefined);
  }

  /** Aborts when the demo is to stop. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  stop(reason: DemoStopped): void {
    this.#stopped.abort(reason);
  }

  /** What it is given, or the reason to stop if there is one before. */
  readonly orStopped = <T>(awaited: Promise<T>): Promise<T> => Promise.race([this.#stop, awaited]);
}

function stoppedBy(signal: string, exit: DemoExit): DemoStopped {
  return new DemoStopped(exit, `stopped by ${signal}; the audit was given up. What it started is being ended.`);
}
