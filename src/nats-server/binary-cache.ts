/**
 * The cache of fetched binaries: `<cacheDir>/<version>/nats-server`. A binary gets there by one rename from a work
 * folder beside it, after it was verified and has answered `-v`. So two processes that fetch at once both succeed and
 * the last rename wins, and one killed half-way leaves only a work folder, removed by a later fetch.
 */
import { chmod, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "./make-directory.js";
import { compareVersions, parseVersion } from "./version.js";

const binaryName = "nats-server";
const workFolderPrefix = "fetch-";

/** Far longer than any fetch is allowed to take, so what is older belongs to a process that was killed. */
const abandonedAfterMs = 60 * 60 * 1_000;

/** What a source of binaries made of a fetch. */
export type FetchResult =
  | { readonly outcome: "installed"; readonly path: string; readonly version: string }
  | { readonly outcome: "unavailable"; readonly reason: string };

export interface FetchTarget {
  readonly cacheDir: string;
  /** A private folder on the cache's file system, removed by its owner. */
  readonly workFolder: string;
  readonly signal?: AbortSignal | undefined;
}

/** Paths where a cached binary may be: the pinned version first, then from the newest to the oldest. */
export async function cachedBinaries(cacheDir: string, pinnedVersion: string): Promise<readonly string[]> {
  const versions = (await entriesOf(cacheDir)).filter((name) => parseVersion(name) === name);
  const byPreference = versions.sort((left, right) => {
    if (left === pinnedVersion || right === pinnedVersion) {
      return left === pinnedVersion ? -1 : 1;
    }
    return compareVersions(right, left);
  });
  return byPreference.map((version) => join(cacheDir, version, binaryName));
}

/** Gives `work` a private folder on the cache's own file system, and removes the folder afterwards. */
export async function inWorkFolder<T>(cacheDir: string, work: (folder: string) => Promise<T>): Promise<T> {
  await makeDirectory(cacheDir);
  await removeAbandonedWorkFolders(cacheDir);
  const folder = await mkdtemp(join(cacheDir, workFolderPrefix));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Moves a verified binary from a work folder to its place; returns that place. */
export async function installBinary(cacheDir: string, version: string, verifiedBinary: string): Promise<string> {
  const folder = join(cacheDir, version);
  const path = join(folder, binaryName);
  await makeDirectory(folder);
  await chmod(verifiedBinary, 0o755);
  await rename(verifiedBinary, path);
  return path;
}

async function removeAbandonedWorkFolders(cacheDir: string): Promise<void> {
  for (const name of await entriesOf(cacheDir)) {
    const path = join(cacheDir, name);
    // Another process may remove the same folder at the same time; then there is nothing left to do.
    const status = name.startsWith(workFolderPrefix) ? await stat(path).catch(() => undefined) : undefined;
    if (status !== undefined && Date.now() - status.mtimeMs > abandonedAfterMs) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** A cache that does not exist or cannot be read is an empty one: what it should hold is then fetched. */
async function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
