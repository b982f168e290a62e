import { expect, it } from "vitest";
import { auditEngines, checkEngines } from "../../../workflows/dependency-audit/engines.js";
import { directoryWith } from "./project-on-disk.js";

it.each<[unknown, string, string | null]>([
  [{ node: ">=18" }, "satisfied", ">=18"],
  [{ node: ">=22" }, "not-satisfied", ">=22"],
  [{ node: "lts/*" }, "unreadable", "lts/*"],
  [{ node: 18 }, "unreadable", "18"],
  [{ npm: ">=9" }, "unstated", null],
  [{}, "unstated", null],
  [undefined, "unstated", null],
  [null, "unstated", null],
  ["node", "unstated", null],
  [["node >=0.6", "rhino"], "satisfied", ">=0.6"],
  [[7, "rhino"], "unstated", null],
])("judges engines %j as %s", (engines, verdict, range) => {
  expect(checkEngines(engines, "20.20.2")).toEqual({ outcome: "checked", verdict, range, nodeVersion: "20.20.2" });
});

it("keeps a hostile range short", () => {
  const output = checkEngines({ node: "9".repeat(1_000_000) }, "20.20.2");
  expect(output).toMatchObject({ verdict: "unreadable", range: "9".repeat(200) });
});

it("checks the package on disk against the Node it runs on", async () => {
  const projectPath = await directoryWith({
    "node_modules/a/package.json": { engines: { node: `>=${process.versions.node}` } },
  });
  expect(await auditEngines({ projectPath, packagePath: "node_modules/a" })).toMatchObject({
    verdict: "satisfied",
    nodeVersion: process.versions.node,
  });
  expect(await auditEngines({ projectPath, packagePath: "node_modules/b" })).toEqual({ outcome: "not-installed" });
});
