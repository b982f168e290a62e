/** docs/doctor.md, the codes and the tests belong together. */
import { expect, it } from "vitest";
import { checkNames } from "../../src/doctor/finding.js";
import { severityOf } from "../../src/doctor/finding-codes.js";
import { readRepositoryFile, repositoryFileNames } from "../support/source-file.js";

const rows = [...readRepositoryFile("docs/doctor.md").matchAll(/^\| `(\S+\/\S+)` \| (\S+) \| (.+) \| (.+) \|$/gm)].map(
  ([, code, severity, meaning = "", advice = ""]) => ({ code, severity, meaning, advice }),
);

it("explains every finding once, in the order of the checks, with its severity", () => {
  expect(rows.map(({ code, severity }) => [code, severity])).toEqual(Object.entries(severityOf));
});

it("says what each finding means and what to do", () => {
  expect(rows.filter(({ meaning, advice }) => meaning.trim() === "" || advice.trim() === "")).toEqual([]);
});

it("has a heading for each check", () => {
  const headings = [...readRepositoryFile("docs/doctor.md").matchAll(/^### (\S+)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual([...checkNames]);
});

it("names each finding after its check", () => {
  const prefixes = Object.keys(severityOf).map((code) => code.split("/")[0]);
  expect([...new Set(prefixes)]).toEqual([...checkNames]);
});

it("provokes each finding in a test", () => {
  const tests = repositoryFileNames("test/doctor")
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => readRepositoryFile(`test/doctor/${name}`))
    .join("\n");
  expect(Object.keys(severityOf).filter((code) => !tests.includes(`"${code}"`))).toEqual([]);
});
