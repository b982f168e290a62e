/**
 * The folder that a server keeps everything in, and what can be known about it before the server is started:
 *
 * - `jetstream/`            the data, where a hand-run `nats-server -js -sd <dir>` finds it too
 * - `nats-server.conf`      written at each start by the owner
 * - `nats-server.log`       bounded by the configuration, with two older files beside it
 * - `nats-server.stderr`    what the last server printed before it had a log, or in a crash
 * - `nats-server.lock`      locked (flock) by the running server, never removed; `nats-server.pid` says who that is
 * - `nats-server_<pid>.ports`  the ports of the running server, written by it
 *
 * Everything is readable by its owner only.
 */
import { constants } from "node:fs";
import { access, open, readdir, readFile, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PerdureError } from "../errors.js";
import { makeDirectory } from "./make-directory.js";

export interface StoreDirectory {
  /** Absolute. */
  readonly path: string;
  readonly dataPath: string;
  readonly configPath: string;
  readonly logPath: string;
  readonly stderrPath: string;
  readonly lockPath: string;
  readonly pidPath: string;
}

export interface StoreSpace {
  /** Bytes on disk of the data that is there. */
  readonly usedBytes: number;
  /** Bytes this user may still write to the file system. */
  readonly freeBytes: number;
}

/** Answers how many bytes may still be written below a folder. */
export type FreeBytesProbe = (folder: string) => Promise<number>;

/**
 * Below this a start is refused: two message blocks of 8 MB, so that the engine can set up its streams and meet
 * `max_file`, which answers with an error, before it meets the end of the disk, which freezes a stream.
 */
export const freeBytesMin = 16 * 1024 * 1024;

export function storeDirectoryAt(storeDir: string): StoreDirectory {
  const path = resolve(storeDir);
  return {
    path,
    dataPath: join(path, "jetstream"),
    configPath: join(path, "nats-server.conf"),
    logPath: join(path, "nats-server.log"),
    stderrPath: join(path, "nats-server.stderr"),
    lockPath: join(path, "nats-server.lock"),
    pidPath: join(path, "nats-server.pid"),
  };
}

/**
 * Makes the folder where it is missing and finds out, without disturbing a server that may own it, whether a server
 * could work in it. Rejects with NATS_SERVER_STORE_UNUSABLE.
 */
export async function prepareStoreDirectory(store: StoreDirectory, freeBytes: FreeBytesProbe): Promise<void> {
  try {
    await makeDirectory(store.path, 0o700);
    await access(store.path, constants.R_OK | constants.W_OK | constants.X_OK);
    const lock = await open(store.lockPath, "a", 0o600);
    await lock.close();
    // Made here, so that one which cannot be used, or was made by another user's server, is found out here.
    await makeDirectory(store.dataPath, 0o700);
    await access(store.dataPath, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(store, describeFault(error), error);
  }
  const free = await freeBytes(store.path);
  if (free < freeBytesMin) {
    throw unusable(
      store,
      `its disk is full: ${mebibytes(free)} MiB are free, and at least ${mebibytes(freeBytesMin)} are needed`,
    );
  }
}

/** For the owner only: removes what a killed server left, and writes what the next one reads. */
export async function furnishStoreDirectory(store: StoreDirectory, ownerPid: number, config: string): Promise<void> {
  try {
    // Ports files are named after pids, and pids come back.
    const names = await readdir(store.path);
    await Promise.all(names.filter((name) => name.endsWith(".ports")).map((name) => rm(join(store.path, name))));
    await writeFile(store.configPath, config, { mode: 0o600 });
    await writeFile(store.pidPath, `${ownerPid}\n`, { mode: 0o600 });
  } catch (error) {
    throw unusable(store, describeFault(error), error);
  }
}

export async function measureSpace(store: StoreDirectory, freeBytes: FreeBytesProbe): Promise<StoreSpace> {
  const [usedBytes, free] = await Promise.all([bytesBelow(store.dataPath), freeBytes(store.path)]);
  return { usedBytes, freeBytes: free };
}

export async function freeBytesOnDisk(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

export async function ownedByAnother(store: StoreDirectory): Promise<PerdureError> {
  const pid = Number.parseInt(await readFile(store.pidPath, "utf8").catch(() => ""), 10);
  const owner = Number.isNaN(pid) ? "another nats-server" : `another nats-server (pid ${pid})`;
  return new PerdureError(
    "NATS_SERVER_STORE_UNUSABLE",
    `store directory ${store.path} belongs to ${owner}, which is running; stop that one, or give this one a store ` +
      "directory of its own",
    { details: { storeDir: store.path, ...(Number.isNaN(pid) ? {} : { pid }) } },
  );
}

function unusable(store: StoreDirectory, reason: string, cause?: unknown): PerdureError {
  return new PerdureError(
    "NATS_SERVER_STORE_UNUSABLE",
    `cannot keep data in store directory ${store.path}: ${reason}; nothing was started, give another directory or make ` +
      "this one usable",
    { details: { storeDir: store.path }, ...(cause === undefined ? {} : { cause }) },
  );
}

function describeFault(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EEXIST":
    case "ENOTDIR":
      return "it, or a part of its path, is not a directory";
    case "EACCES":
    case "EPERM":
      return `this user may not write to it (${code})`;
    case "EROFS":
      return "it is on a read-only file system";
    case "ENOSPC":
    case "EDQUOT":
      return `its disk is full (${code})`;
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** Blocks on disk, not file lengths: JetStream truncates and punches files. A file that goes meanwhile counts as 0. */
async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        return bytesBelow(path);
      }
      const status = await stat(path).catch(() => undefined);
      return (status?.blocks ?? 0) * 512;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / (1024 * 1024));
}
