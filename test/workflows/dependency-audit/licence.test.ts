import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { auditLicence, declaredLicence, judgeLicence } from "../../../workflows/dependency-audit/licence.js";
import { directoryWith, type Files, mitText } from "./project-on-disk.js";

const packagePath = "node_modules/a";

async function audited(files: Files) {
  const entries = Object.entries(files).map(([name, content]) => [`${packagePath}/${name}`, content]);
  return auditLicence({ projectPath: await directoryWith(Object.fromEntries(entries)), packagePath });
}

it("reads the declaration, the text and the version from the package's own files", async () => {
  expect(await audited({ "package.json": { version: "1.2.3", license: "MIT" }, "LICENSE.md": mitText })).toEqual({
    outcome: "read",
    declared: "MIT",
    found: ["MIT"],
    agreement: "agrees",
    class: "permissive",
    version: "1.2.3",
  });
});

it.each(["LICENSE", "licence", "LICENCE.txt", "COPYING", "LICENSE-MIT", "MIT-LICENSE.txt", "LICENSE.MIT"])(
  "takes %s for a licence file",
  async (name) => {
    expect(await audited({ "package.json": {}, [name]: mitText })).toMatchObject({ found: ["MIT"] });
  },
);

it.each(["license.js", "licenses.json", "README.md", "THIRD-PARTY-LICENSES.txt"])(
  "does not take %s for a licence file",
  async (name) => {
    expect(await audited({ "package.json": {}, [name]: mitText })).toMatchObject({ found: [] });
  },
);

it("does not read a licence file that is a link", async () => {
  const projectPath = await directoryWith({ [`${packagePath}/package.json`]: {}, "secret.txt": mitText });
  await symlink(join(projectPath, "secret.txt"), join(projectPath, packagePath, "LICENSE"));
  expect(await auditLicence({ projectPath, packagePath })).toMatchObject({ found: [] });
});

it("answers that a package is not installed, or cannot be read, without failing", async () => {
  const projectPath = await directoryWith({ [`${packagePath}/package.json`]: "{" });
  expect(await auditLicence({ projectPath, packagePath })).toEqual({
    outcome: "unreadable",
    reason: "package.json is not JSON",
  });
  expect(await auditLicence({ projectPath, packagePath: "node_modules/b" })).toEqual({ outcome: "not-installed" });
});

it.each<[string, string | null, string[], string, string]>([
  ["agrees where all that is found is declared", "MIT OR Apache-2.0", [mitText], "agrees", "permissive"],
  [
    "sees bundled licences beside the declared one",
    "Apache-2.0",
    [`${mitText} apache license version 2.0, January 2004`],
    "more-found",
    "permissive",
  ],
  ["sees a text that contradicts the declaration", "ISC", [mitText], "differs", "permissive"],
  ["takes the text's word where nothing is declared", null, [mitText], "undeclared", "permissive"],
  [
    "takes the text's word where the declaration points at it",
    "SEE LICENSE IN LICENSE",
    [mitText],
    "undeclared",
    "permissive",
  ],
  ["misses a text", "MIT", [], "no-text", "permissive"],
  ["admits that it does not know a text", "MIT", ["Do as you please, but be kind."], "unrecognised", "permissive"],
  ["finds nothing at all", null, [], "nothing", "unknown"],
  ["does not let a text overrule UNLICENSED", "UNLICENSED", [mitText], "differs", "unknown"],
  [
    "does not tell or-later by the text",
    "GPL-3.0-or-later",
    ["GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007"],
    "agrees",
    "strong-copyleft",
  ],
])("%s", (_sentence, declared, texts, agreement, licenceClass) => {
  expect(judgeLicence(declared, texts)).toMatchObject({ agreement, class: licenceClass });
});

it.each([
  ["a string", { license: " MIT " }, "MIT"],
  ["an object", { license: { type: "MIT", url: "https://example.org" } }, "MIT"],
  ["a list of objects", { licenses: [{ type: "MIT" }, { type: "Apache-2.0" }] }, "(MIT OR Apache-2.0)"],
  ["a list of strings", { license: ["MIT", "ISC"] }, "(MIT OR ISC)"],
  ["the other spelling", { licence: "MIT" }, "MIT"],
  ["nonsense", { license: 7, licenses: [{}, null, ""] }, null],
  ["nothing", {}, null],
])("reads a declaration that is %s", (_shape, manifest, expected) => {
  expect(declaredLicence(manifest)).toBe(expected);
});

it("keeps a hostile declaration short", () => {
  expect(judgeLicence("x".repeat(100_000), []).declared).toHaveLength(200);
});
