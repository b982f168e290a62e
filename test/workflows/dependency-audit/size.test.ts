import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { auditSize } from "../../../workflows/dependency-audit/size.js";
import { directoryWith } from "./project-on-disk.js";

const packagePath = "node_modules/a";

it("counts the files and bytes of a package and its directories", async () => {
  const projectPath = await directoryWith({
    [`${packagePath}/index.js`]: "12345",
    [`${packagePath}/lib/deep/more.js`]: "é",
    [`${packagePath}/empty`]: "",
  });
  expect(await auditSize({ projectPath, packagePath })).toEqual({ outcome: "measured", files: 3, bytes: 7 });
});

it("does not count the packages installed inside it, but a fixture that is called like them", async () => {
  const projectPath = await directoryWith({
    [`${packagePath}/index.js`]: "1",
    [`${packagePath}/node_modules/b/index.js`]: "22",
    [`${packagePath}/test/node_modules/c/index.js`]: "333",
  });
  expect(await auditSize({ projectPath, packagePath })).toEqual({ outcome: "measured", files: 2, bytes: 4 });
});

it("neither follows nor counts links", async () => {
  const elsewhere = await directoryWith({ "huge.bin": "x".repeat(5000) });
  const projectPath = await directoryWith({ [`${packagePath}/index.js`]: "1" });
  await symlink(elsewhere, join(projectPath, packagePath, "elsewhere"));
  await symlink(join(elsewhere, "huge.bin"), join(projectPath, packagePath, "huge.bin"));
  await symlink(join(projectPath, packagePath), join(projectPath, packagePath, "itself"));
  expect(await auditSize({ projectPath, packagePath })).toEqual({ outcome: "measured", files: 1, bytes: 1 });
});

it("answers that a package is not installed", async () => {
  const projectPath = await directoryWith({});
  expect(await auditSize({ projectPath, packagePath })).toEqual({ outcome: "not-installed" });
});

it("gives up on a directory without end and says so", async () => {
  const projectPath = await directoryWith({
    [`${packagePath}/1`]: "",
    [`${packagePath}/2`]: "",
    [`${packagePath}/3`]: "",
  });
  expect(await auditSize({ projectPath, packagePath }, { entriesMax: 2 })).toEqual({
    outcome: "unreadable",
    reason: "it has more than 2 files and directories",
  });
});

it("refuses a path that leaves the project", async () => {
  const projectPath = await directoryWith({});
  await expect(auditSize({ projectPath, packagePath: "../node_modules/a" })).rejects.toMatchObject({
    code: "PACKAGE_PATH_REFUSED",
  });
});
