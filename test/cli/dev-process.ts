/** `perdure dev` as a process of the test: ready when this resolves, and gone with its nats-server afterwards. */
import { untilSome } from "../support/until.js";
import { type Running, type RunOptions, startPerdure } from "./perdure.js";

export interface Dev extends Running {
  readonly natsUrl: string;
  readonly httpUrl: string;
}

export async function startDev(folder: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Dev> {
  const running = startPerdure(["dev", "--store-dir", folder, "--nats-port", "0", ...args], options);
  try {
    const ready = await untilSome("dev is ready", () => {
      const found = /^ready (nats:\S+) (http:\S+)$/.exec(running.lines[0] ?? "");
      return found === null ? null : { natsUrl: found[1] ?? "", httpUrl: found[2] ?? "" };
    });
    return { ...running, ...ready };
  } catch (cause) {
    await running[Symbol.asyncDispose]();
    throw new Error(`dev did not get ready and said: ${running.errors()}`, { cause });
  }
}

/** Ends it as Ctrl-C does. */
export async function stopDev(dev: Dev): Promise<void> {
  dev.kill("SIGINT");
  await dev.ended;
}
