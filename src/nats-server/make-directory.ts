/**
 * Makes a directory and those above it. Node's own recursive mkdir tries for ever, in a loop that no signal ends, where
 * a file system answers "no such directory" below a directory that is there, as /proc does.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Rejects with the system's error of the directory that could not be made. One that exists already is fine. */
export async function makeDirectory(path: string, mode = 0o777): Promise<void> {
  const missing = await make(path, mode);
  if (missing === null) return;
  const parent = dirname(path);
  if (parent === path) throw missing;
  await makeDirectory(parent, mode);
  const again = await make(path, mode);
  if (again !== null) throw again;
}

/** Null where the directory is there now; the error where its parent seems to be missing. */
async function make(path: string, mode: number): Promise<Error | null> {
  try {
    await mkdir(path, { mode });
    return null;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return null;
    if (code === "ENOENT" && error instanceof Error) return error;
    throw error;
  }
}
