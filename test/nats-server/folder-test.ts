/** A test with a folder of its own, gone afterwards; and no process that names it may be left behind. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import { untilNothingNames } from "./processes.js";

export const folderTest = test.extend<{ folder: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: Vitest reads the fixtures that are needed from this pattern.
  folder: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), "perdure-nats-"));
    await use(folder);
    await untilNothingNames(folder);
    await rm(folder, { recursive: true, force: true });
  },
});
