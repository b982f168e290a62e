import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { findPackageDirectory, readManifest } from "../../../workflows/dependency-audit/package-directory.js";
import { directoryWith, writeFiles } from "./project-on-disk.js";

it("finds a nested, scoped package", async () => {
  const packagePath = "node_modules/a/node_modules/@b/c";
  const projectPath = await directoryWith({ [`${packagePath}/package.json`]: {} });
  expect(await findPackageDirectory({ projectPath, packagePath })).toEqual({
    state: "present",
    directory: join(projectPath, packagePath),
  });
});

it("calls a package absent when there is nothing, or a file, in its place", async () => {
  const projectPath = await directoryWith({ "node_modules/file": "not a directory" });
  for (const packagePath of ["node_modules/a", "node_modules/file", "node_modules/file/node_modules/b"]) {
    expect(await findPackageDirectory({ projectPath, packagePath })).toEqual({ state: "absent" });
  }
});

it("refuses a path that leaves the project, also where it would exist", async () => {
  const root = await directoryWith({ "inside/package-lock.json": "{}", "outside/node_modules/a/package.json": {} });
  const projectPath = join(root, "inside");
  await expect(findPackageDirectory({ projectPath, packagePath: "../outside/node_modules/a" })).rejects.toMatchObject({
    code: "PACKAGE_PATH_REFUSED",
  });
});

it("refuses a package that is a link out of the project", async () => {
  const elsewhere = await directoryWith({ "package.json": {} });
  const projectPath = await directoryWith({ "node_modules/a/package.json": {} });
  await symlink(elsewhere, join(projectPath, "node_modules/b"));
  await expect(findPackageDirectory({ projectPath, packagePath: "node_modules/b" })).rejects.toMatchObject({
    code: "PACKAGE_PATH_REFUSED",
    message: expect.stringContaining("outside the project"),
  });
});

it("accepts a node_modules that as a whole is a link", async () => {
  const cache = await directoryWith({ "a/package.json": {} });
  const projectPath = await directoryWith({});
  await symlink(cache, join(projectPath, "node_modules"));
  expect(await findPackageDirectory({ projectPath, packagePath: "node_modules/a" })).toEqual({
    state: "present",
    directory: join(cache, "a"),
  });
});

it("says that there is no such project", async () => {
  const projectPath = join(await directoryWith({}), "nowhere");
  await expect(findPackageDirectory({ projectPath, packagePath: "node_modules/a" })).rejects.toMatchObject({
    code: "PROJECT_NOT_FOUND",
  });
});

it.each([
  ["is missing", {}, "package.json is missing or is not a plain file"],
  ["is not JSON", { "package.json": "{" }, "package.json is not JSON"],
  ["is a list", { "package.json": [] }, "package.json is not a JSON object"],
])("calls a manifest unreadable that %s", async (_what, files, reason) => {
  const directory = await directoryWith(files);
  expect(await readManifest(directory)).toEqual({ state: "unreadable", reason });
});

it("does not follow a package.json that is a link", async () => {
  const elsewhere = await directoryWith({ "secret.json": { license: "MIT" } });
  const directory = await directoryWith({});
  await symlink(join(elsewhere, "secret.json"), join(directory, "package.json"));
  expect(await readManifest(directory)).toMatchObject({ state: "unreadable" });
});

it("reads a manifest that begins with a byte order mark", async () => {
  const directory = await directoryWith({});
  await writeFiles(directory, { "package.json": '\uFEFF{"license":"MIT"}' });
  expect(await readManifest(directory)).toMatchObject({ state: "read", manifest: { license: "MIT" } });
});
