import { lockFileWith, mitText } from "./project-on-disk.js";

/** A project of `count` small packages, installed. */
export function projectOf(count: number): Record<string, unknown> {
  const files: Record<string, unknown> = {};
  const locked: Record<string, unknown> = {};
  for (let number = 1; number <= count; number += 1) {
    const name = `part-${number}`;
    const path = `node_modules/${name}`;
    const version = `1.${number}.0`;
    locked[path] = { version };
    files[`${path}/package.json`] = { name, version, license: "MIT", engines: { node: ">=18" } };
    files[`${path}/LICENSE`] = mitText;
  }
  return { ...files, "package-lock.json": lockFileWith(locked) };
}
