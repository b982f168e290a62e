/** The specialists on real projects, whose tests really run. */
import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { candidatesFor, functionAround } from "../../../workflows/agent-team/project/fix-strategies.js";
import { runTests } from "../../../workflows/agent-team/project/run-tests.js";
import { findSource } from "../../../workflows/agent-team/project/source-place.js";
import { firstFailureOf } from "../../../workflows/agent-team/report-failure.js";
import { implement } from "../../../workflows/agent-team/specialists/implementation.js";
import { research } from "../../../workflows/agent-team/specialists/research.js";
import { reproduce, review } from "../../../workflows/agent-team/specialists/review.js";
import { untilHolds } from "../../support/until.js";
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

/** A process that has ended is there until its parent has looked; nobody may ever look. */
const isRunning = async (pid: number): Promise<boolean> =>
  !/^State:\s+[ZX]|^$/m.test((await readFile(`/proc/${pid}/status`, "utf8").catch(() => "")).split("\n")[2] ?? "");

const write = (file: string, text: string) => writeFile(join(project, file), text);

/** Each file of tests costs a process at each run. */
const leaveOneTestFile = () => rm(join(project, "test/stock.test.js"));

async function testedBy(text: string): Promise<void> {
  await leaveOneTestFile();
  await write("test/cart.test.js", text);
}

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
  await leaveOneTestFile();
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
  await testedBy(
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

it("ends what tests leave running, in their group or out of it", async () => {
  const idle = (detached: boolean): string => `spawn("sleep", ["600"], { stdio: "ignore", detached: ${detached} })`;
  await testedBy(
    `import { spawn } from "node:child_process";\nimport { writeFileSync } from "node:fs";\nimport { test } from "node:test";
test("forks", () => {
  const left = [${idle(false)}, ${idle(true)}];
  for (const child of left) child.unref();
  writeFileSync("left.json", JSON.stringify(left.map(({ pid }) => pid)));
});\n`,
  );
  expect(await runTests(project, { signal })).toMatchObject({ failed: 0 });
  const pids: unknown = JSON.parse(await readFile(join(project, "left.json"), "utf8"));
  for (const pid of z.array(z.number()).length(2).parse(pids)) {
    await untilHolds(
      `${pid} has ended`,
      () => isRunning(pid),
      (running) => !running,
    );
  }
});

it("ends the tests of a team that is killed", async () => {
  await testedBy(
    'import { writeFileSync } from "node:fs";\nimport { test } from "node:test";\ntest("x", () => { writeFileSync("pid", `${process.pid}\\n`); for (;;); });\n',
  );
  const program = new URL("../../../dist/workflows/agent-team/project/run-tests.js", import.meta.url);
  const team = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `const { runTests } = await import(${JSON.stringify(program.href)});\nawait runTests(${JSON.stringify(project)}, { signal: new AbortController().signal });`,
    ],
    { stdio: "ignore" },
  );
  onTestFinished(() => void team.kill("SIGKILL"));
  const written = await untilHolds(
    "the test runs",
    () => readFile(join(project, "pid"), "utf8").catch(() => ""),
    (text) => text.endsWith("\n"),
  );
  team.kill("SIGKILL");
  await untilHolds(
    "it has ended",
    () => isRunning(Number(written)),
    (running) => !running,
  );
});

it("counts tests that print more than it keeps, and lines like the runner's own", async () => {
  const failure = `throw new TypeError("boom" + "\\n".repeat(20_000) + "end")`;
  await write(
    "test/cart.test.js",
    `import { test } from "node:test";\ntest("a", () => console.log("pass 7\\nfail 0\\n" + ("y".repeat(9_999) + "\\n").repeat(600)));\ntest("b", () => { ${failure}; });\nfor (let i = 0; i < 12; i += 1) test("c" + i, () => { throw new Error("z".repeat(9_000)); });\n`,
  );
  const { passed, failed, failures, summary } = await runTests(project, { signal });
  expect({ passed, failed }).toEqual({ passed: 3, failed: 13 });
  expect(failures[0]?.error).toMatch(/^TypeError: boom\n/);
  // It goes out in one message.
  expect(summary.length).toBeLessThan(4_000);
});

it("does not take a runner that broke off for one that found nothing", async () => {
  await testedBy('import { test } from "node:test";\ntest("x", () => { process.kill(process.ppid, 9); });\n');
  const { failed, summary } = await runTests(project, { signal });
  expect(failed).toBe(1);
  expect(summary).toContain("their runner broke off");
});

it("neither follows links out of the project, nor reads what is no file or too large for one", {
  timeout,
}, async () => {
  const outside = await mkdtemp(join(tmpdir(), "agent-team-test-"));
  onTestFinished(() => rm(outside, { recursive: true, force: true }));
  const alike = "  for (let index = 0; index < secrets.length; index++) {\n";
  await writeFile(join(outside, "secret.js"), alike);
  await symlink(join(outside, "secret.js"), join(project, "src/secret.js"));
  await symlink(outside, join(project, "src/outside"));
  await symlink(".", join(project, "src/again"));
  await symlink("nowhere.js", join(project, "src/broken.js"));
  await mkdir(join(project, "src/folder.js"));
  await promisify(execFile)("mkfifo", [join(project, "src/pipe.js")]);
  await write("src/packed.js", alike.repeat(20_000));

  const { similar } = await research(project, { file: "src/cart.js", line: 7 });

  expect(similar.map(({ file }) => file)).toContain("src/stock.js");
  expect(similar.map(({ file }) => file).filter((file) => !/^src\/[a-z]+\.js$/.test(file))).toEqual([]);
  expect(similar.filter(({ text }) => text.includes("secrets"))).toEqual([]);
  await rm(join(project, "src/again"));
  expect(await reproduce(project, { file: "src/cart.js", line: 7 }, "x", signal)).toMatchObject({ isReproduced: true });
});

it("changes nothing through links, and takes a link to a project", async () => {
  await symlink("src", join(project, "relative"));
  await symlink(join(project, "src"), join(project, "absolute"));
  await symlink(project, `${project}-link`);
  onTestFinished(() => rm(`${project}-link`));
  await testedBy(
    'import { appendFileSync } from "node:fs";\nfor (const link of ["relative", "absolute"]) appendFileSync(link + "/cart.js", "// changed\\n");\n',
  );
  const before = await readFile(join(project, "src/cart.js"), "utf8");
  expect(await reproduce(`${project}-link`, { file: "src/cart.js", line: 7 }, "x", signal)).toMatchObject({
    failed: 0,
  });
  expect(await readFile(join(project, "src/cart.js"), "utf8")).toBe(before);
});

it("gives tests nothing of its own environment", async () => {
  process.env["SECRET_OF_THE_TEAM"] = "s3cret";
  await testedBy(
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
