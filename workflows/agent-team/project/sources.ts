/** The sources of a project, as they are read. */
import type { Dirent } from "node:fs";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isOwn, isOwnSource, sourceSizeMax } from "./source-place.js";

export async function linesOf(projectFolder: string, file: string): Promise<readonly string[]> {
  return (await readFile(join(projectFolder, file), "utf8")).split("\n");
}

/** The project's own sources, by their paths within it, in a fixed order. Links are not followed: they may lead anywhere. */
export async function sourcesOf(projectFolder: string): Promise<readonly string[]> {
  return (await sourcesIn(projectFolder, "")).sort();
}

async function sourcesIn(projectFolder: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(projectFolder, folder), { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry: Dirent): Promise<string[]> => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return isOwn(path) ? await sourcesIn(projectFolder, path) : [];
      if (!entry.isFile() || !isOwnSource(path)) return [];
      return (await lstat(join(projectFolder, path))).size <= sourceSizeMax ? [path] : [];
    }),
  );
  return found.flat();
}
