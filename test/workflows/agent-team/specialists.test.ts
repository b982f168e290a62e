/** The specialists on real projects, whose tests really run. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { candidatesFor, functionAround } from "../../../workflows/agent-team/project/fix-strategies.js";
import { runTests } from "../../../workflows/agent-team/project/run-tests.js";
import { findSource } from "../../../workflows/agent-team/project/source-place.js";
import { firstFailureOf } from "../../../workflows/agent-team/report-failure.js";
import { implement } from "../../../workflows/agent-team/specialists/implementation.js";
import { research } from "../../../workflows/agent-team/specialists/research.js";
import { reproduce, review } from "../../../workflows/agent-team/specialists/review.js";
import { sampleProject } from "./given-team.js";

const { signal } = new AbortController();
const trying = { signal, onTried: () => undefined };
/** Tests are run many times. */
const timeout = 90_000;

let project = "";
beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), "agent-team-test-"));
  await cp(sampleProject, project, { recursive: true });
});
afterEach(async () => rm(project, { recursive: true, force: true }));

const write = (file: string, text: string) => writeFile(join(project, file), text);

it("reports the failing test of the sample project by the line where it failed", async () => {
  expect(await firstFailureOf(project, signal)).toMatchObject({
    error: "TypeError: Cannot read properties of undefined (reading 'price')",
    context: { file: "src/cart.js", line: 7 },
  });
});

it("finds the loop that is built alike and has another bound", async () => {
  const { similar } = await research(project, { file: "/somewhere/else/src/cart.js", line: 7 });
  expect(similar[0]).toMatchObject({ file: "src/stock.js", line: 4, like: 6, difference: { here: "<=", there: "<" } });
});

it("mends the sample, leaves the project as it was, and passes the review", { timeout }, async () => {
  const place = { file: "src/cart.js", line: 7 };
  const before = await readFile(join(project, "src/cart.js"), "utf8");
  const { candidates } = await implement(project, place, trying);
  const { similar } = await research(project, place);

  const { accepted, patch } = await review(project, { place, candidates: candidates.toReversed(), similar }, signal);

  expect(accepted).toMatchObject({ line: 6, after: "  for (let index = 0; index < items.length; index++) {" });
  expect(patch).toContain("--- a/src/cart.js");
  expect(await readFile(join(project, "src/cart.js"), "utf8")).toBe(before);
});

it.each<[mistake: string, code: string, test: string]>([
  [
    "a missing check for null",
    "export const f = (user) => user.name;",
    "assert.equal(f(undefined), undefined); assert.equal(f({ name: 'a' }), 'a')",
  ],
  ["a wrong operator", "export const f = (a, b) => a && b;", "assert.equal(f(0, 2), 2); assert.equal(f(1, 2), 1)"],
  [
    "a wrong rounding",
    "export const f = (total, size) => Math.floor(total / size);",
    "assert.equal(f(21, 10), 3); assert.equal(f(20, 10), 2)",
  ],
  [
    "a wrong default",
    "export const f = (count) => count || 5;",
    "assert.equal(f(0), 0); assert.equal(f(undefined), 5)",
  ],
])("mends %s", { timeout }, async (_mistake, code, test) => {
  await write("src/cart.js", `${code}\n`);
  await write(
    "test/cart.test.js",
    `import assert from "node:assert/strict";\nimport { test } from "node:test";\nimport { f } from "../src/cart.js";\ntest("f", () => { ${test} });\n`,
  );

  const place = { file: "src/cart.js", line: 1 };
  const { candidates } = await implement(project, place, trying);

  expect((await review(project, { place, candidates, similar: [] }, signal)).accepted).not.toBeNull();
});

it("says so where the error cannot be seen", { timeout }, async () => {
  const place = { file: "src/cart.js", line: 7 };
  expect(await reproduce(project, place, "whatever", signal)).toMatchObject({ isReproduced: true });
  await write("src/cart.js", (await readFile(join(project, "src/cart.js"), "utf8")).replace("<= items", "< items"));
  expect(await reproduce(project, place, "whatever", signal)).toMatchObject({ isReproduced: false, failed: 0 });
});

it.each<[what: string, change: { readonly file?: string; readonly line?: number; readonly after?: string }]>([
  ["another file", { file: "src/money.js" }],
  ["another function", { line: 15, after: "  for (let index = 0; index < items.length; index++) {" }],
  ["more than a line", { after: "  for (;;) {\n  }" }],
  ["the same thing again", { after: "  for (let index = 0; index <= items.length; index += 1) {" }],
])("refuses a candidate that changes %s", { timeout }, async (_what, change) => {
  const before = "  for (let index = 0; index <= items.length; index++) {";
  const after = before.replace("<=", "<");
  const candidate = { file: "src/cart.js", line: 6, strategy: "s", before, after, ...change };
  const { accepted } = await review(
    project,
    { place: { file: "src/cart.js", line: 7 }, candidates: [candidate], similar: [] },
    signal,
  );
  expect(accepted).toBeNull();
});

it("ends tests that never end", { timeout }, async () => {
  await write("src/cart.js", "export const totalOf = () => { for (;;); };\nexport const dearestOf = totalOf;\n");
  const { failed, summary } = await runTests(project, { signal, timeoutMs: 1_500 });
  expect(failed).toBeGreaterThan(0);
  expect(summary).toContain("did not end in time");
});

it("gives tests nothing of its own environment", async () => {
  process.env["SECRET_OF_THE_TEAM"] = "s3cret";
  await write(
    "test/cart.test.js",
    'import { test } from "node:test";\ntest("env", () => { if (process.env.SECRET_OF_THE_TEAM) throw new Error("leaked"); });\n',
  );
  try {
    expect(await runTests(project, { signal })).toMatchObject({ failed: 0 });
  } finally {
    Reflect.deleteProperty(process.env, "SECRET_OF_THE_TEAM");
  }
});

it.each([
  "../../etc/passwd",
  "/etc/passwd",
  "src/../../x.js",
  "package.json",
  "node_modules/a/index.js",
  "src/link.js",
  "src/none.js",
  "",
])('takes "%s" for no source of the project', async (reported) => {
  await symlink("/etc/hostname", join(project, "src/link.js"));
  expect(await findSource(project, reported)).toBeNull();
});

it("knows a file by the longest end of its path", async () => {
  expect(await findSource(project, "file:///srv/build/42/src/cart.js")).toBe(join("src", "cart.js"));
  expect(await findSource(project, "C:\\shop\\src\\cart.js")).toBe(join("src", "cart.js"));
});

it("stays within the function, and begins at the reported line", () => {
  const lines = ["const a = 1;", "function f(x) {", "  const y = x + 1;", "  return y.z;", "}", "const b = 2;"];
  expect(functionAround(lines, 4)).toEqual([2, 3, 4, 5]);
  const candidates = candidatesFor("a.js", lines, 4);
  expect(candidates[0]).toMatchObject({ line: 4, after: "  return y?.z;" });
  expect(candidates.every(({ line }) => line >= 2 && line <= 5)).toBe(true);
});
