import { posix } from "node:path";
import { expect, it } from "vitest";
import { z } from "zod";
import { errorCodes } from "../src/protocol/error-code.js";
import { importViolations } from "./support/import-rules.js";
import {
  readRepositoryFile,
  readSources,
  repositoryFileNames,
  repositoryHas,
  type SourceFile,
  type Violation,
} from "./support/source-file.js";
import {
  ambientViolations,
  errorTextViolations,
  nameViolations,
  openingViolations,
  sleepViolations,
  subjectViolations,
  unreachedViolations,
  unrunTestViolations,
} from "./support/source-rules.js";

/**
 * What the source itself must keep to. Each rule is a function from a parsed file to sentences with
 * file and line; test/tidy-rules.test.ts shows each rule code that breaks it.
 */

type Rule = (source: SourceFile) => Violation[];

/** Where package.json says which files a user of the package can enter by. */
const PackageManifest = z.object({ exports: z.record(z.string(), z.json()), bin: z.record(z.string(), z.string()) });

const sources = readSources("src", "workflows", "test", "bench");

function expectTidy(violations: readonly Violation[]): void {
  if (violations.length > 0) {
    expect.fail(violations.map(({ path, line, sentence }) => `\n${path}:${line} ${sentence}`).join(""));
  }
  expect(violations).toEqual([]);
}

it.each<[string, Rule]>([
  ["imports only what its folder may", (source) => (isProduct(source) ? importViolations(source) : [])],
  ["takes time, ids and randomness as arguments in the pure folders", ambientViolations],
  ["builds subjects in the protocol only", subjectViolations],
  ["tells errors apart by code, never by text", errorTextViolations],
  ["waits in tests for what happened, never for time to pass", sleepViolations],
  ["runs every test it has", unrunTestViolations],
  ["names files after what they do", nameViolations],
  ["says near the top of each longer file what it is for", openingViolations],
])("%s", (_sentence, rule) => {
  expectTidy(sources.flatMap(rule));
});

it("has no file in src that only tests reach", () => {
  const applications = sources.map(({ path }) => path).filter((path) => path.startsWith("workflows/"));
  expectTidy(unreachedViolations(sources, [...packageEntryPaths(), ...applications]));
});

it("documents every error code once, in alphabetical order", () => {
  const headings = [...readRepositoryFile("docs/errors.md").matchAll(/^## (\S+)$/gm)].map(([, code]) => code);
  expect(headings).toEqual([...errorCodes].sort());
});

it("says under every error code when it happens, what the engine did and what to do", () => {
  const sections = readRepositoryFile("docs/errors.md").split(/^## /m).slice(1);
  const incomplete = sections
    .filter((section) => !["**When:**", "**The engine:**", "**You:**"].every((part) => section.includes(part)))
    .map((section) => section.split("\n")[0]);
  expect(incomplete).toEqual([]);
});

it("lists every decision record in the index", () => {
  const index = readRepositoryFile("docs/adr/README.md");
  const listed = [...index.matchAll(/^\| \d{4} \| \[.+\]\((.+\.md)\)/gm)].map(([, file]) => file);
  expect(listed).toEqual(repositoryFileNames("docs/adr").filter((name) => /^\d{4}-/.test(name)));
});

it("has documents whose links lead to a file", () => {
  const documents = [".", "docs", "docs/adr"].flatMap((folder) =>
    repositoryFileNames(folder)
      .filter((name) => name.endsWith(".md"))
      .map((name) => posix.join(folder, name)),
  );
  const broken = documents.flatMap((document) =>
    [...readRepositoryFile(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)/g)]
      .map(([, link]) => posix.join(posix.dirname(document), link ?? ""))
      .filter((target) => !repositoryHas(target))
      .map((target) => `${document} links to ${target}, which does not exist`),
  );
  expect(broken).toEqual([]);
});

function isProduct({ path }: SourceFile): boolean {
  return path.startsWith("src/") || path.startsWith("workflows/");
}

/** Sources of what package.json offers: its exports and its bin. */
function packageEntryPaths(): string[] {
  const manifest = JSON.stringify(PackageManifest.parse(JSON.parse(readRepositoryFile("package.json"))));
  return [...manifest.matchAll(/"\.\/dist\/(src\/[^"]+)\.js"/g)].map(([, path]) => `${path}.ts`);
}
