/**
 * Finds a nats-server that is recent enough, in this order: the binary the caller names, PATH, the cache, the pinned
 * official release, Debian's package. What is fetched goes into the cache.
 *
 * A binary the caller names must be right: it is refused, never replaced by another. One on PATH that is too old is
 * passed over, and mentioned when nothing better turns up.
 */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PerdureError } from "../errors.js";
import { cachedBinaries, type FetchTarget, inWorkFolder } from "./binary-cache.js";
import { type DebianSource, debianSource, fetchDebianPackage } from "./debian-package.js";
import { defaultCacheDir, searchPathFolders } from "./locations.js";
import { fetchOfficialRelease, officialRelease, pinnedVersion, type ReleaseSource } from "./official-release.js";
import { askVersion, isRecentEnough, minimumVersion } from "./version.js";

export interface FindOptions {
  /** Path of the binary to use, usually from PERDURE_NATS_SERVER. Nothing else is then looked at. */
  readonly binary?: string | undefined;
  /** Default: `$XDG_CACHE_HOME/perdure/nats-server`, or under `~/.cache`. */
  readonly cacheDir?: string | undefined;
  /** Default: the environment's PATH. */
  readonly searchPath?: string | undefined;
  /** Whether a missing server may be fetched from the network. Default: "ifMissing". */
  readonly download?: "ifMissing" | "never" | undefined;
  /** Where it is fetched from; given by tests and by those who run a mirror of their own. */
  readonly sources?: DownloadSources | undefined;
  /** Called with a sentence for people before something that takes seconds. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
  /** Ends the search, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface DownloadSources {
  readonly release: ReleaseSource;
  readonly debian: DebianSource;
}

export interface FoundNatsServer {
  readonly path: string;
  readonly version: string;
  readonly source: "given" | "path" | "cache" | "release" | "debian";
}

export const defaultDownloadSources: DownloadSources = { release: officialRelease, debian: debianSource };

const ownBinaryAdvice = "install it (https://nats.io/download) or name a binary in PERDURE_NATS_SERVER";

/**
 * Rejects with NATS_SERVER_NOT_FOUND, NATS_SERVER_TOO_OLD, NATS_SERVER_DOWNLOAD_FAILED or
 * NATS_SERVER_CHECKSUM_MISMATCH. Without a download the answer, either way, takes milliseconds.
 */
export async function findNatsServer(options: FindOptions = {}): Promise<FoundNatsServer> {
  options.signal?.throwIfAborted();
  if (options.binary !== undefined) {
    return checkGiven(resolve(options.binary), options.signal);
  }
  // Absolute, because the programs that use it run in folders of their own.
  const cacheDir = resolve(options.cacheDir ?? defaultCacheDir());
  const tooOld: string[] = [];
  for (const folder of searchPathFolders(options.searchPath)) {
    const path = join(folder, "nats-server");
    const version = await versionOf(path, options.signal);
    if (version !== undefined && isRecentEnough(version)) {
      return { path, version, source: "path" };
    }
    if (version !== undefined) {
      tooOld.push(`${path} is ${version}`);
    }
  }
  for (const path of await cachedBinaries(cacheDir, pinnedVersion)) {
    const version = await versionOf(path, options.signal);
    if (version !== undefined && isRecentEnough(version)) {
      return { path, version, source: "cache" };
    }
  }
  if (options.download === "never") {
    throw nothingFound(tooOld, cacheDir);
  }
  return fetchIntoCache(cacheDir, tooOld, options);
}

async function checkGiven(path: string, signal: AbortSignal | undefined): Promise<FoundNatsServer> {
  if (!(await isExecutableFile(path))) {
    throw new PerdureError(
      "NATS_SERVER_NOT_FOUND",
      `found no program at ${path}, named as the nats-server to use; correct PERDURE_NATS_SERVER, or unset it to have ` +
        "one found",
      { details: { path } },
    );
  }
  const answer = await askVersion(path, signal);
  if (answer.kind === "notAServer") {
    throw new PerdureError(
      "NATS_SERVER_NOT_FOUND",
      `${path}, named as the nats-server to use, is none: ${answer.reason}; correct PERDURE_NATS_SERVER, or unset it ` +
        "to have one found",
      { details: { path } },
    );
  }
  if (!isRecentEnough(answer.version)) {
    throw new PerdureError(
      "NATS_SERVER_TOO_OLD",
      `nats-server ${answer.version} at ${path} is older than ${minimumVersion}, the first that will do; upgrade it, ` +
        "or unset PERDURE_NATS_SERVER to have one found",
      { details: { path, version: answer.version, minimumVersion } },
    );
  }
  return { path, version: answer.version, source: "given" };
}

function nothingFound(tooOld: readonly string[], cacheDir: string): PerdureError {
  return tooOld.length > 0
    ? new PerdureError(
        "NATS_SERVER_TOO_OLD",
        `found only a nats-server older than ${minimumVersion}: ${tooOld.join(", ")}; upgrade it, or ${ownBinaryAdvice}`,
        { details: { tooOld, minimumVersion } },
      )
    : new PerdureError(
        "NATS_SERVER_NOT_FOUND",
        `found no nats-server on PATH or in ${cacheDir}, and downloads are off; ${ownBinaryAdvice}`,
        { details: { cacheDir } },
      );
}

async function fetchIntoCache(
  cacheDir: string,
  tooOld: readonly string[],
  options: FindOptions,
): Promise<FoundNatsServer> {
  const { release, debian } = options.sources ?? defaultDownloadSources;
  const notice = options.onNotice ?? (() => undefined);
  try {
    return await inWorkFolder(cacheDir, async (workFolder) => {
      const target: FetchTarget = { cacheDir, workFolder, signal: options.signal };
      notice(`found no nats-server ${minimumVersion} or newer; fetching ${pinnedVersion} into ${cacheDir}`);
      const official = await fetchOfficialRelease(release, target);
      if (official.outcome === "installed") {
        return { path: official.path, version: official.version, source: "release" };
      }
      notice(`the official release is out of reach (${official.reason}); trying Debian's package`);
      const packaged = await fetchDebianPackage(debian, target);
      if (packaged.outcome === "installed") {
        return { path: packaged.path, version: packaged.version, source: "debian" };
      }
      throw downloadFailed(`${official.reason}; ${packaged.reason}`, tooOld, cacheDir);
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof PerdureError) {
      throw error;
    }
    // What is left is the cache folder itself: not writable, not a folder, or on a full disk.
    throw downloadFailed(error instanceof Error ? error.message : String(error), tooOld, cacheDir, error);
  }
}

function downloadFailed(reason: string, tooOld: readonly string[], cacheDir: string, cause?: unknown): PerdureError {
  const passedOver = tooOld.length > 0 ? ` (passed over as older than ${minimumVersion}: ${tooOld.join(", ")})` : "";
  return new PerdureError(
    "NATS_SERVER_DOWNLOAD_FAILED",
    `found no nats-server${passedOver} and could not fetch one into ${cacheDir}: ${reason}; ${ownBinaryAdvice}`,
    { details: { cacheDir, reason, tooOld }, cause },
  );
}

/** The version that the binary at `path` reports, or undefined when there is none or it does not run. */
async function versionOf(path: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  if (!(await isExecutableFile(path))) {
    return undefined;
  }
  const answer = await askVersion(path, signal);
  return answer.kind === "version" ? answer.version : undefined;
}

async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
