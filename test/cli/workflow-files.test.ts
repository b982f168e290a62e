/** What `perdure worker` and `dev --workflows` say of files that they cannot use, before anything is started. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { filesOf } from "../../src/cli/file-globs.js";
import { perdure } from "./perdure.js";
import { givenModule, greetings } from "./workflow-fixture.js";

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "perdure-cli-"));
  for (const path of ["flows/deep", "flows/node_modules", "flows/.hidden"])
    await mkdir(join(folder, path), { recursive: true });
  for (const file of ["flows/a.js", "flows/b+.js", "flows/c.mjs", "flows/deep/d.js", "flows/.e.js"])
    await writeFile(join(folder, file), "");
  for (const file of ["flows/node_modules/f.js", "flows/.hidden/g.js"]) await writeFile(join(folder, file), "");
});

afterAll(() => rm(folder, { recursive: true, force: true }));

it.each<[pattern: string, files: readonly string[]]>([
  ["flows/*.js", ["flows/a.js", "flows/b+.js"]],
  ["flows/?.*js", ["flows/a.js", "flows/c.mjs"]],
  ["flows/**/*.js", ["flows/a.js", "flows/b+.js", "flows/deep/d.js"]],
  ["*/deep/*.js", ["flows/deep/d.js"]],
  ["flows/**/d.js", ["flows/deep/d.js"]],
  ["./flows/a.js", ["./flows/a.js"]],
])("finds the files of %s", async (pattern, files) => {
  const found = await filesOf([`${folder}/${pattern}`]);

  expect(found).toEqual(files.map((file) => `${folder}/${file}`));
});

it("names a file once, however many patterns match it", async () => {
  expect(await filesOf([`${folder}/flows/a.js`, `${folder}/flows/a*.js`])).toEqual([`${folder}/flows/a.js`]);
});

it.each<[what: string, name: string, code: string, said: RegExp]>([
  [
    "throws while it is loaded",
    "throws.mjs",
    'throw new Error("no database");',
    /cannot load .*throws.mjs: no database \(at .*throws.mjs:2/,
  ],
  ["is no JavaScript", "broken.mjs", "export const = 1;", /cannot load .*broken.mjs: SyntaxError: /],
  ["imports what is not there", "lacks.mjs", 'import "./nothing.js";', /cannot load .*lacks.mjs: .*nothing.js/],
  ["exports no workflow", "none.mjs", "export const x = 1;", /none.mjs exports no workflow/],
  [
    "has two of one name",
    "twice.mjs",
    `${greetings}\nexport const again = workflow("greet", {}, async () => 1);`,
    /two workflows are named "greet", both in .*twice.mjs/,
  ],
])("refuses a file that %s, for a worker and for dev", async (_what, name, code, said) => {
  const file = await givenModule(folder, name, code);

  const worker = await perdure(["worker", file, "--server", "nats://127.0.0.1:9"]);
  const dev = await perdure(["dev", "--store-dir", join(folder, "store"), "--nats-port", "0", "--workflows", file]);

  for (const ended of [worker, dev]) {
    expect(ended.stderr).toMatch(/^perdure: USAGE: .+\n$/);
    expect(ended.stderr).toMatch(said);
    expect(ended).toMatchObject({ status: 2, stdout: "" });
  }
});

it("refuses a file that is not there, and a pattern that nothing matches", async () => {
  const file = await perdure(["worker", join(folder, "nothing.js")]);
  const pattern = await perdure(["worker", join(folder, "*.nothing")]);

  expect(file).toMatchObject({ status: 2, stderr: expect.stringContaining("cannot load") });
  expect(pattern).toMatchObject({ status: 2, stderr: expect.stringContaining("no file matches") });
});

it("says which server a worker cannot reach", async () => {
  const file = await givenModule(folder, "good.mjs", greetings);

  const ended = await perdure(["worker", file, "--server", "nats://127.0.0.1:9"]);

  expect(ended).toMatchObject({ status: 4, stderr: expect.stringContaining("CONNECTION_FAILED") });
});
