/**
 * The processes of the demonstration, none of which outlives it: each ends when the IPC channel to the demonstration breaks,
 * also if that was killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Actor {
  readonly id: string;
  readonly pid: number;
  /** What it printed when it was ready, without that word. */
  readonly ready: readonly string[];
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** Its exit status, once it has ended by itself. */
  readonly ended: Promise<number | null>;
}

const member = fileURLToPath(new URL("./member.js", import.meta.url));
const endWithParent = `data:text/javascript,${encodeURIComponent(
  'process.once("disconnect", () => process.kill(process.pid, "SIGTERM")); process.channel?.unref();',
)}`;
const LAST_WORDS_LENGTH = 2_000;
const END_GRACE_MS = 10_000;

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "perdure-baker-street-"));
  readonly #environment: NodeJS.ProcessEnv;
  readonly #children = new Set<ChildProcess>();
  readonly #clear = (): void => {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  };

  /** @param environment besides that of this process */
  constructor(environment: NodeJS.ProcessEnv) {
    // What the user has set for another server must not lead this demonstration there.
    const { NATS_URL: _, NATS_TOKEN: __, PERDURE_NAMESPACE: ___, ...own } = process.env;
    this.#environment = { ...own, ...environment };
    process.once("exit", this.#clear);
  }

  /** Resolves when it is ready. */
  async start(role: string, id: string, args: readonly string[]): Promise<Actor> {
    const child = spawn(process.execPath, ["--import", endWithParent, member, role, "--id", id, ...args], {
      env: this.#environment,
      // A Ctrl-C reaches the demonstration alone, which ends them in order.
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#children.add(child);
    const { stdout, stderr, pid } = child;
    if (stdout === null || stderr === null || pid === undefined) throw new Error(`${id} could not be started`);
    let lastWords = "";
    stderr.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-LAST_WORDS_LENGTH);
    });
    const ended = once(child, "close").then(([code]: (number | null)[]) => {
      this.#children.delete(child);
      return code ?? null;
    });
    const [line] = await Promise.race([
      once(createInterface({ input: stdout }), "line") as Promise<[string]>,
      ended.then((code): never => {
        throw new Error(`${id} ended with ${code} before it was ready. Its last words:\n${lastWords}`);
      }),
    ]);
    const kill = async (): Promise<void> => {
      child.kill("SIGKILL");
      await ended;
    };
    return { id, pid, ready: line.split(" ").slice(1), kill, ended };
  }

  /** Ends all that still run; what does not end in time is killed. */
  async endAll(): Promise<void> {
    await Promise.all(
      [...this.#children].map(async (child) => {
        const closed = once(child, "close");
        const late = setTimeout(() => child.kill("SIGKILL"), END_GRACE_MS);
        child.kill("SIGTERM");
        await closed;
        clearTimeout(late);
      }),
    );
  }

  close(): void {
    process.off("exit", this.#clear);
    this.#clear();
  }
}
