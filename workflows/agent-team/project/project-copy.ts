/** A copy of the project to try things in. The project itself is only ever read. */
import { constants } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readlink, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { isWithin } from "./source-place.js";
import { linesOf } from "./sources.js";

export class ProjectCopy {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Gives `use` a fresh copy, which is gone afterwards, whatever happens. */
  static async with<T>(projectFolder: string, use: (copy: ProjectCopy) => Promise<T>): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), "agent-team-"));
    try {
      const root = await realpath(projectFolder);
      await copyEntries(root, root, folder);
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

/** Pipes, sockets and devices are left out: to read them could take for ever. */
async function copyEntries(root: string, from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.name === ".git") continue;
    if (entry.name === "node_modules") await symlink(source, target);
    else if (entry.isSymbolicLink()) await copyLink(root, source, target);
    else if (entry.isFile()) await copyFile(source, target, constants.COPYFILE_FICLONE);
    else if (entry.isDirectory()) {
      await mkdir(target);
      await copyEntries(root, source, target);
    }
  }
}

/** A link to something in the project leads to its copy: what is written through it must not change the project. */
async function copyLink(root: string, source: string, target: string): Promise<void> {
  // One that leads nowhere ends Node's runner.
  const isBroken = await stat(source).then(
    () => false,
    () => true,
  );
  if (isBroken) return;
  const end = resolve(dirname(source), await readlink(source));
  await symlink(isWithin(root, end) ? relative(dirname(source), end) || "." : end, target);
}
