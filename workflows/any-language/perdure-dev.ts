/** `perdure dev` as a process of its own: nats-server and orchestrator, started, killed and started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";

const manifestPath = createRequire(import.meta.url).resolve("perdure/package.json");
const Manifest = z.object({ bin: z.object({ perdure: z.string() }) });

/** Where the package lies: the clone with the agents' sources in it. */
export const packageFolder = dirname(manifestPath);

export interface DevOptions {
  readonly storeFolder: string;
  readonly namespace: string;
  /** Of nats-server; 0 takes a free one. */
  readonly port: number;
}

/** The first time, it may have to fetch nats-server. */
const READY_LIMIT_MS = 180_000;

export class PerdureDev {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(url: string, process: ChildProcess, ended: Promise<unknown>) {
    this.url = url;
    this.#process = process;
    this.#ended = ended;
  }

  /** @throws Error with its last words where it does not become ready */
  static async start({ storeFolder, namespace, port }: DevOptions): Promise<PerdureDev> {
    const { bin } = Manifest.parse(JSON.parse(readFileSync(manifestPath, "utf8")));
    const where = ["--nats-port", String(port), "--store-dir", storeFolder, "--namespace", namespace];
    const child = spawn(process.execPath, [resolve(packageFolder, bin.perdure), "dev", ...where, "--heartbeat", "1s"], {
      env: surroundings(),
      // So that a Ctrl-C does not take the server from an agent that drains.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    // The last resort: whoever waits for it to become ready may be interrupted.
    const killWithUs = (): void => void child.kill("SIGKILL");
    process.once("exit", killWithUs);
    const ended = once(child, "close").finally(() => process.off("exit", killWithUs));
    ended.catch(() => undefined);
    let lastWords = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-2_000);
    });
    const limit = setTimeout(() => child.kill("SIGKILL"), READY_LIMIT_MS);
    const line = await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended]);
    clearTimeout(limit);
    const [word, url] = String(line[0]).split(" ");
    if (word !== "ready" || url === undefined) throw new Error(`perdure dev did not become ready: ${lastWords}`);
    return new PerdureDev(url, child, ended);
  }

  /** `kill -9` of the orchestrator; its server ends with it. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#ended;
  }
}

/** What the user has set for another server must not lead anybody there. */
export function surroundings(): NodeJS.ProcessEnv {
  const isAboutAnother = (name: string): boolean => name.startsWith("NATS_") || name === "PERDURE_NAMESPACE";
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isAboutAnother(name)));
}
