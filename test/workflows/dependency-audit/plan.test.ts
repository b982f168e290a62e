import { expect, it } from "vitest";
import type { LockedPackage } from "../../../workflows/dependency-audit/lock-file.js";
import { packagesMax, planAudit } from "../../../workflows/dependency-audit/plan.js";
import { type Survey, surveyProject } from "../../../workflows/dependency-audit/survey.js";
import { directoryWith, lockFileWith } from "./project-on-disk.js";

function surveyOf(names: readonly string[]): Survey {
  const packages = names.map(
    (name): LockedPackage => ({
      name,
      version: "1.0.0",
      path: `node_modules/${name}`,
      dev: false,
      optional: false,
      engines: null,
    }),
  );
  const project = { name: "shop", version: "1.0.0" };
  const lockFile = { project, sha256: "0".repeat(64), packages, refused: [], linked: [] };
  return { projectPath: "/shop", lockFile, installed: packages, absent: [], refused: [] };
}

it("plans what is on disk of what the lock file has", async () => {
  const packages = { "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "1.0.0", optional: true } };
  const root = await directoryWith({ "package-lock.json": lockFileWith(packages), "node_modules/a/package.json": {} });
  const survey = await surveyProject(root);
  expect(survey.absent.map(({ name }) => name)).toEqual(["b"]);
  expect(planAudit(survey)).toEqual({
    projectPath: root,
    lockFileSha256: survey.lockFile.sha256,
    packagePaths: ["node_modules/a"],
  });
});

it("says how to install when nothing is", async () => {
  const root = await directoryWith({ "package-lock.json": lockFileWith({ "node_modules/a": { version: "1.0.0" } }) });
  const survey = await surveyProject(root);
  expect(() => planAudit(survey)).toThrow(
    expect.objectContaining({ code: "NOTHING_INSTALLED", message: expect.stringContaining("npm ci") }),
  );
});

it("says that a project without dependencies has nothing to audit", () => {
  expect(() => planAudit(surveyOf([]))).toThrow(
    expect.objectContaining({ code: "NOTHING_INSTALLED", message: expect.stringContaining("lists no packages") }),
  );
});

it("takes the largest audit, as one value of a history", () => {
  const names = Array.from({ length: packagesMax }, (_, index) => `a-package-with-quite-a-long-name-${index}`);
  expect(JSON.stringify(planAudit(surveyOf(names))).length).toBeLessThan(128 * 1024);
});

it.each([
  { of: "many packages", names: Array.from({ length: packagesMax + 1 }, (_, index) => `p${index}`) },
  { of: "long paths", names: Array.from({ length: 200 }, (_, index) => `${"p".repeat(900)}-${index}`) },
])("refuses a plan of too $of for one value of a history", ({ names }) => {
  expect(() => planAudit(surveyOf(names))).toThrow(
    expect.objectContaining({ code: "TOO_MANY_PACKAGES", message: expect.stringContaining("npm ci --omit=dev") }),
  );
});
