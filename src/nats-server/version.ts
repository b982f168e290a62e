/**
 * Which nats-server versions will do, and how a binary is asked for its own. Asking costs about 5 ms, so it is asked at
 * every start rather than remembered: an upgrade in place is then always seen.
 */
import { runCommand } from "./run-command.js";

/** 2.12 brought the atomic batch publish that the journal commits with. */
export const minimumVersion = "2.12.0";

/** A healthy binary answers in milliseconds; this leaves time to refuse one that hangs within two seconds. */
const answerTimeoutMs = 1_500;

const versionPattern = /\bv?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?/;

export type VersionAnswer =
  | { readonly kind: "version"; readonly version: string }
  | { readonly kind: "notAServer"; readonly reason: string };

/** Runs `<path> -v`, which prints for example `nats-server: v2.14.5`. */
export async function askVersion(path: string, signal?: AbortSignal): Promise<VersionAnswer> {
  const result = await runCommand(path, ["-v"], { timeoutMs: answerTimeoutMs, signal });
  if (result.outcome === "failed") {
    return { kind: "notAServer", reason: result.reason };
  }
  const version = parseVersion(result.stdout);
  return result.stdout.startsWith("nats-server") && version !== undefined
    ? { kind: "version", version }
    : { kind: "notAServer", reason: `${path} -v answered ${JSON.stringify(result.stdout.slice(0, 80))}` };
}

/** The version in `text` without its "v", or undefined. */
export function parseVersion(text: string): string | undefined {
  return versionPattern.exec(text)?.[0].replace(/^v/, "");
}

export function isRecentEnough(version: string): boolean {
  return compareVersions(version, minimumVersion) >= 0;
}

/** Negative when `left` is older. A pre-release is older than its release; two pre-releases of one are equal. */
export function compareVersions(left: string, right: string): number {
  const leftParts = sortableParts(left);
  const rightParts = sortableParts(right);
  for (const [index, part] of leftParts.entries()) {
    const difference = part - (rightParts[index] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}

function sortableParts(version: string): readonly number[] {
  const match = versionPattern.exec(version);
  if (match === null) {
    throw new Error(`not a version: ${version}`);
  }
  const isRelease = match[4] === undefined ? 1 : 0;
  return [Number(match[1]), Number(match[2]), Number(match[3]), isRelease];
}
