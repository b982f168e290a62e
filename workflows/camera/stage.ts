/**
 * The processes of the demonstration and the folder they work in. Nothing of it outlives the demonstration: each process
 * has a group of its own, so that a Ctrl-C reaches this one alone and it ends them in order; and where this one is killed,
 * the broken IPC channel ends them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once, setMaxListeners } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createRequire } from "node:module";
import { constants, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";

/** An end before the end, as it is told; `exit` is the exit status. */
export class Stopped extends Error {
  override readonly name = "Stopped";
  readonly exit: number;

  constructor(exit: number, message: string) {
    super(message);
    this.exit = exit;
  }
}

export interface Actor {
  readonly name: string;
  readonly pid: number;
  /** What it printed first: that it is ready. */
  readonly firstLine: string;
  send(signal: NodeJS.Signals): void;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Loaded into each process before its own script. */
const endWithParent = `data:text/javascript,${encodeURIComponent(
  'process.once("disconnect", () => process.kill(process.pid, "SIGTERM")); process.channel?.unref();',
)}`;
/** Without any news for so long, something is wrong. The first time, nats-server may have to be fetched. */
const patienceMs = 180_000;
/** How long a process may take to hand in or hand back what it has. */
const endGraceMs = 10_000;
const lastWordsLength = 2_000;

export class Stage {
  readonly folder: string;
  readonly #stopping = new AbortController();
  readonly #children: ChildProcess[] = [];
  readonly #patience = setTimeout(() => this.#stop(1, `nothing was heard for ${patienceMs / 1_000} s`), patienceMs);
  /** What this process must not leave however it ends. */
  readonly #clear = (): void => {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  };

  static async open(): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), "perdure-camera-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
    // Every wait of the demonstration listens to it.
    setMaxListeners(0, this.signal);
    process.once("exit", this.#clear);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      const exit = 128 + constants.signals[signal];
      process.on(signal, () => (this.signal.aborted ? process.exit(exit) : this.#stop(exit, `stopped by ${signal}`)));
    }
    process.stdout.on("error", () => this.#stop(128 + constants.signals.SIGPIPE, "nobody reads what is printed"));
  }

  /** Aborts with a `Stopped` when the demonstration is to end before its end. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  heardNews(): void {
    this.#patience.refresh();
  }

  /** `perdure dev` with a nats-server of its own; resolves with its URL. */
  async startEngine(): Promise<string> {
    const manifestPath = createRequire(import.meta.url).resolve("perdure/package.json");
    const manifest = z.object({ bin: z.object({ perdure: z.string() }) });
    const { bin } = manifest.parse(JSON.parse(readFileSync(manifestPath, "utf8")));
    const script = resolve(dirname(manifestPath), bin.perdure);
    const args = ["dev", "--nats-port", "0", "--store-dir", join(this.folder, "store"), "--heartbeat", "1s"];
    const { firstLine } = await this.#start("perdure dev", script, args);
    const [word, url] = firstLine.split(" ");
    if (word !== "ready" || url === undefined) throw new Stopped(1, `perdure dev began with "${firstLine}"`);
    return url;
  }

  /** Resolves when it is registered. */
  startMember(id: string, url: string, args: readonly string[]): Promise<Actor> {
    const script = fileURLToPath(new URL("./member.js", import.meta.url));
    return this.#start(id, script, ["--id", id, "--server", url, ...args]);
  }

  /** The agents first, then the engine; what does not end in time is killed. */
  async close(): Promise<void> {
    clearTimeout(this.#patience);
    const [engine, ...members] = this.#children.map((child) => () => end(child));
    await Promise.all(members.map((endMember) => endMember()));
    await engine?.();
    this.#clear();
    process.off("exit", this.#clear);
  }

  async #start(name: string, script: string, args: readonly string[]): Promise<Actor> {
    this.signal.throwIfAborted();
    // What the user has set for another server must not lead this demonstration there.
    const { NATS_URL: _, NATS_TOKEN: __, PERDURE_NAMESPACE: ___, ...env } = process.env;
    const child = spawn(process.execPath, ["--import", endWithParent, script, ...args], {
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#children.push(child);
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Stopped(1, `${name} got no pipes`);
    let lastWords = "";
    stderr.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-lastWordsLength);
    });
    let isKilled = false;
    child.once("error", (error) => this.#stop(1, `${name} could not be started: ${error.message}`));
    child.once("close", (code, signal) => {
      const how = `${name} (pid ${child.pid}) ended (${signal ?? code}), and nobody had asked for it`;
      if (!isKilled) this.#stop(1, `${how}. Its last words:\n${lastWords}`);
    });
    const lines = createInterface({ input: stdout });
    const [firstLine = ""]: string[] = await once(lines, "line", { signal: this.signal }).catch((error: unknown) => {
      throw this.signal.reason ?? error;
    });
    lines.resume();
    return {
      name,
      pid: child.pid ?? 0,
      firstLine,
      send: (signal) => child.kill(signal),
      kill: async () => {
        isKilled = true;
        const closed = once(child, "close");
        child.kill("SIGKILL");
        await closed;
      },
    };
  }

  /** The first reason counts. */
  #stop(exit: number, message: string): void {
    this.#stopping.abort(new Stopped(exit, message));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  const late = setTimeout(() => child.kill("SIGKILL"), endGraceMs);
  // A stopped process takes no SIGTERM before it goes on.
  child.kill("SIGCONT");
  child.kill("SIGTERM");
  await closed;
  clearTimeout(late);
}
