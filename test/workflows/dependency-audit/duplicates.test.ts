import { expect, it } from "vitest";
import { findDuplicates } from "../../../workflows/dependency-audit/duplicates.js";

it("lists packages of more than one version, oldest first, with every place of each", () => {
  expect(
    findDuplicates([
      { name: "b", version: "10.0.0", path: "node_modules/b" },
      { name: "b", version: "9.0.0", path: "node_modules/z/node_modules/b" },
      { name: "b", version: "9.0.0", path: "node_modules/c/node_modules/b" },
      { name: "a", version: "1.0.0", path: "node_modules/a" },
      { name: "a", version: "1.0.0-rc.1", path: "node_modules/d/node_modules/a" },
    ]),
  ).toEqual([
    {
      name: "a",
      versions: [
        { version: "1.0.0-rc.1", paths: ["node_modules/d/node_modules/a"] },
        { version: "1.0.0", paths: ["node_modules/a"] },
      ],
    },
    {
      name: "b",
      versions: [
        { version: "9.0.0", paths: ["node_modules/c/node_modules/b", "node_modules/z/node_modules/b"] },
        { version: "10.0.0", paths: ["node_modules/b"] },
      ],
    },
  ]);
});

it("does not mind the same version at two places, or a package without a version", () => {
  expect(
    findDuplicates([
      { name: "a", version: "1.0.0", path: "node_modules/a" },
      { name: "a", version: "1.0.0", path: "node_modules/b/node_modules/a" },
      { name: "a", version: null, path: "node_modules/c/node_modules/a" },
    ]),
  ).toEqual([]);
});

it("knows aliases of one package as one, and sorts what is no version last", () => {
  const [duplicate] = findDuplicates([
    { name: "a", version: "main", path: "node_modules/a" },
    { name: "a", version: "1.0.0", path: "node_modules/a-alias" },
  ]);
  expect(duplicate?.versions.map(({ version }) => version)).toEqual(["1.0.0", "main"]);
});
