/**
 * The pinned official release from GitHub. Pinned, so that two machines that fetch get the same bytes; the checksums
 * of the usual platforms are written down here, so that not even a changed release can replace them.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PerdureError } from "../errors.js";
import { type FetchResult, type FetchTarget, installBinary } from "./binary-cache.js";
import { downloadFile } from "./download.js";
import { runCommand } from "./run-command.js";
import { askVersion } from "./version.js";

export const pinnedVersion = "2.14.5";

export const officialReleaseUrl = `https://github.com/nats-io/nats-server/releases/download/v${pinnedVersion}`;

/** SHA-256 of the archives, as in the public Dockerfiles of nats-io/nats-docker. */
const pinnedChecksums: Readonly<Record<string, string>> = {
  [`nats-server-v${pinnedVersion}-linux-amd64.tar.gz`]:
    "5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355",
  [`nats-server-v${pinnedVersion}-linux-arm64.tar.gz`]:
    "673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c",
};

/** Node's names for a processor, and the release's. Windows is not here: it has no `sh` to supervise the server. */
const releaseSystems: ReadonlySet<string> = new Set(["linux", "darwin", "freebsd"]);
const releaseArchitectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  arm64: "arm64",
  arm: "arm7",
  ia32: "386",
  ppc64: "ppc64le",
  s390x: "s390x",
};

/** Unpacking 20 MB takes a fraction of a second; this is for a machine that is busy with other things. */
const unpackTimeoutMs = 20_000;

export interface ReleaseSource {
  /** The folder of the release, without a final slash. */
  readonly baseUrl: string;
  /** A connection silent for this long is given up. */
  readonly silenceMs: number;
  /** Archive name to SHA-256 in hex; an archive not named here is checked against the release's own SHA256SUMS. */
  readonly checksums: Readonly<Record<string, string>>;
}

export const officialRelease: ReleaseSource = {
  baseUrl: officialReleaseUrl,
  silenceMs: 5_000,
  checksums: pinnedChecksums,
};

/** The archive of this machine's platform, or undefined where there is none. */
export function releaseArchiveName(platform: string, architecture: string): string | undefined {
  const releaseArchitecture = releaseArchitectures[architecture];
  return releaseSystems.has(platform) && releaseArchitecture !== undefined
    ? `nats-server-v${pinnedVersion}-${platform}-${releaseArchitecture}.tar.gz`
    : undefined;
}

/**
 * Downloads, verifies, unpacks and installs the release. Rejects with NATS_SERVER_CHECKSUM_MISMATCH when the archive
 * is not the one expected: that is never papered over by another source, because it means that somebody in between
 * answers for GitHub. Everything else is "unavailable".
 */
export async function fetchOfficialRelease(source: ReleaseSource, target: FetchTarget): Promise<FetchResult> {
  const archiveName = releaseArchiveName(process.platform, process.arch);
  if (archiveName === undefined) {
    return { outcome: "unavailable", reason: `no release for ${process.platform} on ${process.arch}` };
  }
  const options = { silenceMs: source.silenceMs, signal: target.signal };
  const url = `${source.baseUrl}/${archiveName}`;
  const archive = join(target.workFolder, archiveName);
  const download = await downloadFile(url, archive, options);
  if (download.outcome === "unreachable") {
    return { outcome: "unavailable", reason: download.reason };
  }
  const expected = source.checksums[archiveName] ?? (await publishedChecksum(source, archiveName, target));
  if (expected === undefined) {
    return { outcome: "unavailable", reason: `${source.baseUrl}/SHA256SUMS has no checksum of ${archiveName}` };
  }
  if (download.sha256 !== expected) {
    throw new PerdureError(
      "NATS_SERVER_CHECKSUM_MISMATCH",
      `dropped ${url}: its SHA-256 is ${download.sha256}, expected ${expected}; something between here and the ` +
        "release changes it. Install nats-server yourself and name it in PERDURE_NATS_SERVER.",
      { details: { url, expected, found: download.sha256 } },
    );
  }
  return unpackRelease(archive, target);
}

async function publishedChecksum(
  source: ReleaseSource,
  archiveName: string,
  target: FetchTarget,
): Promise<string | undefined> {
  const file = join(target.workFolder, "SHA256SUMS");
  const options = { silenceMs: source.silenceMs, signal: target.signal };
  const download = await downloadFile(`${source.baseUrl}/SHA256SUMS`, file, options);
  if (download.outcome === "unreachable") {
    return undefined;
  }
  const lines = (await readFile(file, "utf8")).split("\n").map((line) => line.trim().split(/\s+\*?/));
  return lines.find(([, name]) => name === archiveName)?.[0]?.toLowerCase();
}

async function unpackRelease(archive: string, target: FetchTarget): Promise<FetchResult> {
  const { workFolder, cacheDir, signal } = target;
  // The archive has one folder, named after it; without that folder the binary's path is the same on every platform.
  const args = ["-xzf", archive, "-C", workFolder, "--strip-components=1"];
  const unpacked = await runCommand("tar", args, { timeoutMs: unpackTimeoutMs, signal });
  if (unpacked.outcome === "failed") {
    return { outcome: "unavailable", reason: unpacked.reason };
  }
  const binary = join(workFolder, "nats-server");
  const answer = await askVersion(binary, signal);
  return answer.kind === "version"
    ? { outcome: "installed", path: await installBinary(cacheDir, answer.version, binary), version: answer.version }
    : { outcome: "unavailable", reason: `the release does not run here: ${answer.reason}` };
}
