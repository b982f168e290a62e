/** Capability `audit-engines`: does a package's engines.node allow the Node that runs it? */
import { type EnginesOutput, type PackageTaskInput, quotedCharactersMax } from "./messages.js";
import { findPackageDirectory, readManifest } from "./package-directory.js";
import { parseRange, parseVersion, satisfies } from "./semver-range.js";

/** `nodeVersion` as in process.versions.node. Throws AuditError PACKAGE_PATH_REFUSED, PROJECT_NOT_FOUND. */
export async function auditEngines(
  input: PackageTaskInput,
  nodeVersion: string = process.versions.node,
): Promise<EnginesOutput> {
  const found = await findPackageDirectory(input);
  if (found.state === "absent") return { outcome: "not-installed" };
  const read = await readManifest(found.directory);
  if (read.state === "unreadable") return { outcome: "unreadable", reason: read.reason };
  return checkEngines(read.manifest.engines, nodeVersion);
}

/** Holds whatever a package.json has under `engines` against a Node version. Never throws on a package's data. */
export function checkEngines(engines: unknown, nodeVersion: string): EnginesOutput {
  const running = parseVersion(nodeVersion);
  if (running === null) throw new Error(`the running Node calls itself ${JSON.stringify(nodeVersion)}`);
  const stated = statedNodeRange(engines);
  if (stated === null) return { outcome: "checked", range: null, verdict: "unstated", nodeVersion };
  const checked = { outcome: "checked", range: quoted(stated.text), nodeVersion } as const;
  const range = stated.kind === "range" ? parseRange(stated.text) : null;
  if (range === null) return { ...checked, verdict: "unreadable" };
  return { ...checked, verdict: satisfies(running, range) ? "satisfied" : "not-satisfied" };
}

type Stated = { readonly kind: "range" | "other"; readonly text: string };

function statedNodeRange(engines: unknown): Stated | null {
  // Packages of npm's first years have a list: ["node >=0.6", "rhino"].
  if (Array.isArray(engines)) {
    const entry = engines.find((item): item is string => typeof item === "string" && /^node\b/.test(item));
    return entry === undefined ? null : { kind: "range", text: entry.slice("node".length).trim() };
  }
  if (typeof engines !== "object" || engines === null || !("node" in engines)) return null;
  const { node } = engines;
  return typeof node === "string"
    ? { kind: "range", text: node }
    : { kind: "other", text: String(JSON.stringify(node)) };
}

function quoted(text: string): string {
  return text.slice(0, quotedCharactersMax);
}
