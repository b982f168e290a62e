/** A copy of the project to try things in. The project itself is only ever read. */
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { isOwnSource } from "./source-place.js";

const notCopied = new Set([".git", "node_modules"]);

export class ProjectCopy {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Gives `use` a fresh copy, which is gone afterwards, whatever happens. */
  static async with<T>(projectFolder: string, use: (copy: ProjectCopy) => Promise<T>): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), "agent-team-"));
    try {
      await cp(projectFolder, folder, {
        recursive: true,
        filter: (source) => source === projectFolder || !notCopied.has(basename(source)),
      });
      const entries = await readdir(projectFolder);
      if (entries.includes("node_modules"))
        await symlink(join(projectFolder, "node_modules"), join(folder, "node_modules"));
      return await use(new ProjectCopy(folder));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async linesOf(file: string): Promise<readonly string[]> {
    return await linesOf(this.folder, file);
  }

  async write(file: string, lines: readonly string[]): Promise<void> {
    await writeFile(join(this.folder, file), lines.join("\n"));
  }
}

export async function linesOf(projectFolder: string, file: string): Promise<readonly string[]> {
  return (await readFile(join(projectFolder, file), "utf8")).split("\n");
}

/** The project's own sources, by their paths within it, in a fixed order. */
export async function sourcesOf(projectFolder: string): Promise<readonly string[]> {
  const entries = await readdir(projectFolder, { recursive: true });
  return entries.filter(isOwnSource).sort();
}
