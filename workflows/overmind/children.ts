/** Parts as processes of their own, for the demonstration: none outlives it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { PartName } from "./parts.js";

export interface Child {
  readonly pid: number;
  /** Where it is asked over HTTP; undefined where it is not. */
  readonly url: string | undefined;
}

const LAST_WORDS_MAX = 2_000;
const END_GRACE_MS = 10_000;

export class Children {
  readonly #children: ChildProcess[] = [];
  readonly #killAll = (): void => {
    for (const child of this.#children) child.kill("SIGKILL");
  };

  constructor() {
    process.once("exit", this.#killAll);
  }

  /** Resolves when it works. @throws Error with its last words where it ends before */
  async start(name: PartName, natsUrl: string): Promise<Child> {
    const script = fileURLToPath(new URL("./worker.js", import.meta.url));
    const child = spawn(process.execPath, [script, name], {
      // What the user has set for another server must not lead it there.
      env: { ...process.env, NATS_URL: natsUrl, NATS_TOKEN: "", PERDURE_NAMESPACE: "", HTTP_HOST: "", HTTP_PORT: "0" },
      // The channel's end ends it where this process is killed.
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // A Ctrl-C is for this process, which ends the others in order.
      detached: true,
    });
    this.#children.push(child);
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error(`${name} got no pipes`);
    let lastWords = "";
    stderr.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-LAST_WORDS_MAX);
    });
    const ended = once(child, "exit").then(() => null);
    const first = await Promise.race([once(createInterface({ input: stdout }), "line"), ended]);
    if (first === null) throw new Error(`${name} ended before it was ready: ${lastWords}`);
    return { pid: child.pid ?? 0, url: String(first[0]).split(" ")[1] };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map(end));
    process.off("exit", this.#killAll);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const late = setTimeout(() => child.kill("SIGKILL"), END_GRACE_MS);
  child.kill("SIGTERM");
  await exited;
  clearTimeout(late);
}
