/** What only a process itself can say of its memory and its handles. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export interface OwnReport {
  /** After a collection. */
  readonly heapBytes: number;
  /** What keeps its event loop alive, by kind: sockets, timers. */
  readonly resources: Readonly<Record<string, number>>;
}

export async function ownReport(): Promise<OwnReport> {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  // What the first collection finalizes, the second one frees.
  for (let round = 0; round < 2; round += 1) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { heapBytes: process.memoryUsage().heapUsed, resources };
}

/** Answers whoever started this process, and ends with it. */
export function reportOnRequest(): void {
  process.once("disconnect", () => process.exit(1));
  process.on("message", () => {
    ownReport().then(
      (report) => process.send?.(report),
      (error: unknown) => {
        throw error;
      },
    );
  });
  process.channel?.unref();
}
