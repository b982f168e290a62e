import { join } from "node:path";
import { expect, it } from "vitest";
import { parseLockFile, readLockFile } from "../../../workflows/dependency-audit/lock-file.js";
import { directoryWith, lockFileWith } from "./project-on-disk.js";

function parsed(packages: Readonly<Record<string, unknown>>) {
  return parseLockFile(Buffer.from(JSON.stringify(lockFileWith(packages))), "/shop/package-lock.json");
}

it("lists every installed package with what the lock file says about it, ordered by path", () => {
  const { packages, project } = parsed({
    "node_modules/zod": { version: "4.0.0", license: "MIT" },
    "node_modules/@biomejs/biome": { version: "2.0.0", dev: true, engines: { node: ">=14" } },
    "node_modules/zod/node_modules/tiny": { version: "1.0.0", optional: true },
    "node_modules/either": { version: "3.0.0", devOptional: true },
  });
  expect(project).toEqual({ name: "shop", version: "1.0.0" });
  expect(packages).toEqual([
    {
      name: "@biomejs/biome",
      version: "2.0.0",
      path: "node_modules/@biomejs/biome",
      dev: true,
      optional: false,
      engines: ">=14",
    },
    { name: "either", version: "3.0.0", path: "node_modules/either", dev: false, optional: true, engines: null },
    { name: "zod", version: "4.0.0", path: "node_modules/zod", dev: false, optional: false, engines: null },
    {
      name: "tiny",
      version: "1.0.0",
      path: "node_modules/zod/node_modules/tiny",
      dev: false,
      optional: true,
      engines: null,
    },
  ]);
});

it("calls an aliased package by its real name", () => {
  const { packages } = parsed({ "node_modules/old-chalk": { name: "chalk", version: "4.1.2" } });
  expect(packages.map(({ name, path }) => [name, path])).toEqual([["chalk", "node_modules/old-chalk"]]);
});

it("keeps workspaces and linked folders apart from the dependencies, and counts what a workspace installs", () => {
  const { linked, packages, refused } = parsed({
    "packages/cart": { name: "cart", version: "1.0.0" },
    "packages/cart/node_modules/zod": { version: "3.0.0" },
    "node_modules/cart": { resolved: "packages/cart", link: true },
  });
  expect(packages.map(({ path }) => path)).toEqual(["packages/cart/node_modules/zod"]);
  expect(linked).toEqual([{ path: "node_modules/cart", target: "packages/cart" }]);
  expect(refused).toEqual([]);
});

it.each([
  ["../../etc", "it leaves the project"],
  ["node_modules/../../../etc/node_modules/passwd", "it leaves the project"],
  ["/etc/node_modules/passwd", "it is absolute"],
  ["node_modules/a/../b", "it leaves the project"],
  ["node_modules//a", "it has an empty segment or a dot segment"],
  ["node_modules/a/b", "it does not end in node_modules/<name>"],
  ["node_modules/@scope", "it does not end in node_modules/<name>"],
  ["node_modules\\..\\a", "it has a backslash or a control character"],
  ["node_modules/\ud800", "it has a backslash or a control character"],
  ["node_modules/a\u001b[2J", "it has a backslash or a control character"],
])("sets the path %j aside and says why", (path, reason) => {
  const { packages, refused } = parsed({ [path]: { version: "1.0.0" } });
  expect(packages).toEqual([]);
  expect(refused).toEqual([{ path, reason }]);
});

it("reads the lock file of a project on disk and knows it again by its hash", async () => {
  const root = await directoryWith({ "package-lock.json": lockFileWith({ "node_modules/a": { version: "1.0.0" } }) });
  const lockFile = await readLockFile(root);
  expect(lockFile.packages).toHaveLength(1);
  expect(lockFile.sha256).toMatch(/^[0-9a-f]{64}$/);
});

it("says which lock file a project has instead of npm's", async () => {
  const root = await directoryWith({ "pnpm-lock.yaml": "lockfileVersion: 9" });
  await expect(readLockFile(root)).rejects.toMatchObject({
    code: "LOCK_FILE_MISSING",
    message: expect.stringContaining("It has pnpm-lock.yaml, which this audit does not read."),
  });
});

it("tells a missing project from a missing lock file", async () => {
  const root = await directoryWith({});
  await expect(readLockFile(join(root, "nowhere"))).rejects.toMatchObject({ code: "PROJECT_NOT_FOUND" });
  await expect(readLockFile(root)).rejects.toMatchObject({ code: "LOCK_FILE_MISSING" });
});

it("refuses lockfileVersion 1 and says how to write a newer one", async () => {
  const root = await directoryWith({ "package-lock.json": { lockfileVersion: 1, dependencies: {} } });
  await expect(readLockFile(root)).rejects.toMatchObject({
    code: "LOCK_FILE_VERSION",
    message: expect.stringContaining("npm install --package-lock-only --lockfile-version 3"),
  });
});

it("refuses a lockfileVersion it does not know yet", () => {
  const bytes = Buffer.from(JSON.stringify({ lockfileVersion: 4, packages: {} }));
  expect(() => parseLockFile(bytes, "lock")).toThrow(expect.objectContaining({ code: "LOCK_FILE_VERSION" }));
});

it.each([
  ["cut short", '{"lockfileVersion": 3, "packages": {'],
  ["with a merge conflict", '<<<<<<< HEAD\n{"lockfileVersion": 3}'],
  ["empty", ""],
  ["a list", "[]"],
  ["without a version", '{"packages": {}}'],
  ["without packages", '{"lockfileVersion": 3}'],
  ["with an entry that is a number", '{"lockfileVersion": 3, "packages": {"node_modules/a": 7}}'],
  ["with a version that is a list", '{"lockfileVersion": 3, "packages": {"node_modules/a": {"version": []}}}'],
])("calls a lock file %s damaged and names it", (_what, text) => {
  expect(() => parseLockFile(Buffer.from(text), "/shop/package-lock.json")).toThrow(
    expect.objectContaining({
      code: "LOCK_FILE_DAMAGED",
      message: expect.stringContaining("/shop/package-lock.json"),
    }),
  );
});
