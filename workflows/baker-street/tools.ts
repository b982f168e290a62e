/** The tools of the extension that comes along: small, and really done. */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { Tool } from "./extension.js";

const Text = z.union([z.string(), z.object({ text: z.string() }).transform(({ text }) => text)]);
const Nap = z.object({ ms: z.int().min(0).max(600_000) });

export const tools: Readonly<Record<string, Tool>> = {
  /** A text's words by how often they come, the ten most frequent ones first. */
  "text.words": (input) => {
    const words =
      Text.parse(input)
        .toLowerCase()
        .match(/\p{L}+/gu) ?? [];
    const counts = new Map<string, number>();
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    const byCount = [...counts].sort(([a, one], [b, other]) => other - one || a.localeCompare(b));
    return { words: words.length, most: byCount.slice(0, 10).map(([word, count]) => ({ word, count })) };
  },
  /** SHA-256 of a text, or of the JSON of anything else. */
  "text.digest": (input) => {
    const text = Text.safeParse(input);
    return createHash("sha256")
      .update(text.success ? text.data : JSON.stringify(input ?? null))
      .digest("hex");
  },
  /** Waits, for those who want to see something happen meanwhile. */
  "clock.wait": async (input, { signal }) => {
    const { ms } = Nap.parse(input);
    await delay(ms, undefined, { signal });
    return { waitedMs: ms };
  },
};
