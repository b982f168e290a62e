/** Packages that are installed in more than one version. */
import type { LockedPackage } from "./lock-file.js";
import type { DuplicatedPackage } from "./messages.js";
import { compareVersions, parseVersion } from "./semver-range.js";

/** By name; the same version at two places is one version. Packages without a version are left out. */
export function findDuplicates(
  packages: readonly Pick<LockedPackage, "name" | "version" | "path">[],
): readonly DuplicatedPackage[] {
  const pathsByVersion = new Map<string, Map<string, string[]>>();
  for (const { name, version, path } of packages) {
    if (version === null) continue;
    const versions = pathsByVersion.get(name) ?? new Map<string, string[]>();
    pathsByVersion.set(name, versions);
    versions.set(version, [...(versions.get(version) ?? []), path]);
  }
  return [...pathsByVersion]
    .filter(([, versions]) => versions.size > 1)
    .map(([name, versions]) => ({
      name,
      versions: [...versions]
        .map(([version, paths]) => ({ version, paths: paths.sort() }))
        .sort((a, b) => compareTexts(a.version, b.version)),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What is no version (a git reference) comes after those that are. */
function compareTexts(a: string, b: string): number {
  const left = parseVersion(a);
  const right = parseVersion(b);
  if (left !== null && right !== null) return compareVersions(left, right);
  if (left === null && right === null) return a < b ? -1 : 1;
  return left === null ? 1 : -1;
}
