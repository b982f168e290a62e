/**
 * The TypeScript samples of the pages for who writes workflows, type-checked against the package as it was built, which is
 * what a reader has.
 *
 * A fragment says on its fence what it continues: "```ts after=order,in-workflow" has the block of the same page that is
 * marked `id=order` before it, and what `given` below has under `in-workflow`. Each is checked as a module of its own, in
 * which every line keeps its number, so that what tsc says points into the page.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readRepositoryFile } from "../support/source-file.js";

const PAGES = ["README.md", "docs/workflows.md", "docs/testing-workflows.md", "docs/bridges.md"];

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a fragment takes for granted. Each stands before it on one line, of those that the page has above the fragment. */
const given: Readonly<Record<string, string>> = {
  imports: `
import { ActivityFailure, ApplicationFailure, type Client, dag, machine, type RunHandle, task, type WorkflowContext, worker, workflow } from "perdure";
import { setup } from "xstate";
import { z } from "zod";`,
  "in-workflow": `
declare const ctx: WorkflowContext;
declare const order: { readonly id: string };
declare const url: string; declare const id: string; declare const orderId: string;`,
  "some-run": "declare const run: RunHandle;",
  "in-condition": "declare const approved: boolean; declare const deadlineAt: number;",
  "order-parts": `
declare const Order: z.ZodType<{ items: string[] }>;
declare const Address: z.ZodType<{ street: string }>;
declare const address: { street: string };
declare const [done, all]: [number, number];
declare const shipped: boolean;
declare const run: RunHandle<typeof order>;`,
  "some-tasks": `
const render = task("render", { input: z.object({ frames: z.number() }) });
declare const input: { frames: number };
const release = task("release", { input: z.object({ id: z.string() }) });
const checkFraud = task("check-fraud", { input: z.unknown() });
const chargeCard = task("charge-card", { input: z.unknown() });
const reserveStock = task("reserve-stock", { input: z.unknown(), output: z.object({ reservationId: z.string() }) });
const releaseStock = task("release-stock", { input: z.object({ reservationId: z.string() }) });`,
  invoice: `const invoice = workflow("invoice", { input: z.object({ orderId: z.string() }), output: z.number(), signals: { paid: z.void() } }, async () => 1);`,
  compile: `
const compile = task("compile", { input: z.object({ file: z.string() }) });
const link = task("link");
declare const client: Client;`,
  charge: `const charge = task("charge"); declare const client: Client;`,
  "an-order": `
const order = workflow("order", {
  input: z.object({ id: z.string() }),
  signals: { hurry: z.object({ by: z.string() }) },
  updates: { setAddress: { input: z.object({ street: z.string() }), output: z.boolean() } },
}, async () => undefined);
declare const address: { street: string };
declare const client: Client;
declare const input: { id: string };`,
  approval: `
import { expect, it } from "vitest";
import { readFile } from "node:fs/promises";
import { startLocalSystem } from "perdure/testing";
const approval = workflow("approval", {
  input: z.object({ what: z.string(), by: z.string(), approver: z.string() }),
  output: z.object({ approved: z.boolean() }),
  queries: { state: { output: z.object({ reminders: z.number() }) } },
  updates: { decide: { input: z.object({ approved: z.boolean(), by: z.string() }) } },
}, async () => ({ approved: true }));`,
};

interface Sample {
  readonly page: string;
  /** Of its first line, from 0. */
  readonly line: number;
  readonly lines: readonly string[];
  readonly marks: Readonly<Record<string, string>>;
}

function samplesOf(page: string): Sample[] {
  const samples: Sample[] = [];
  const text = readRepositoryFile(page).split("\n");
  for (let line = 0; line < text.length; line += 1) {
    const [, info] = /^```ts\b ?(.*)$/.exec(text[line] ?? "") ?? [];
    if (info === undefined) continue;
    const end = text.indexOf("```", line);
    const marks = Object.fromEntries(info.split(" ").map((mark) => mark.split("=") as [string, string]));
    samples.push({ page, line: line + 1, lines: text.slice(line + 1, end), marks });
    line = end;
  }
  return samples;
}

/** The sample as a module, with what it continues. */
function moduleOf(sample: Sample, page: readonly Sample[]): string {
  const lines: string[] = [];
  const put = ({ line, lines: own }: Sample) => {
    for (const [n, text] of own.entries()) lines[line + n] = text;
  };
  const before: string[] = [];
  for (const name of (sample.marks["after"] ?? "").split(",").filter((each) => each !== "")) {
    const marked = page.find(({ marks }) => marks["id"] === name);
    if (marked !== undefined) put(marked);
    else
      before.push(given[name] ?? expect.fail(`${sample.page}:${sample.line} continues "${name}", which nobody knows`));
  }
  put(sample);
  for (const [n, text] of before.entries()) lines[n] = text.replaceAll("\n", " ");
  return [...Array.from(lines, (line) => line ?? ""), "export {};"].join("\n");
}

const samples = PAGES.flatMap(samplesOf);
let folder = "";
let said = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "perdure-samples-"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "dir");
  const settings = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      noEmit: true,
      rootDir: "/",
      noUnusedLocals: false,
      noUnusedParameters: false,
      typeRoots: [join(root, "node_modules/@types")],
      paths: {
        perdure: [join(root, "dist/src/index.d.ts")],
        "perdure/testing": [join(root, "dist/src/testing/index.d.ts")],
        "perdure/bridges": [join(root, "dist/src/bridges/index.d.ts")],
      },
    },
    include: ["**/*.ts"],
  };
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
  for (const sample of samples) {
    await mkdir(join(folder, sample.page), { recursive: true });
    const page = samples.filter((each) => each.page === sample.page);
    await writeFile(join(folder, fileOf(sample)), moduleOf(sample, page));
  }
  await writeFile(join(folder, "mistake.ts"), 'import { task } from "perdure"; task(5);');
  said = await tsc();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const fileOf = ({ page, line }: Sample) => `${page}/line-${line}.ts`;

const tsc = () =>
  new Promise<string>((resolve) => {
    const program = join(root, "node_modules/typescript/bin/tsc");
    execFile(process.execPath, [program, "-p", folder, "--pretty", "false"], { cwd: folder }, (_fault, stdout) => {
      resolve(stdout);
    });
  });

it.each(samples.map((sample) => [fileOf(sample), sample] as const))("%s compiles", (file) => {
  const errors = said.split("\n").filter((line) => line.startsWith(`${file}(`));
  expect(errors).toEqual([]);
});

it("finds samples on each page, and the one mistake that was put beside them", () => {
  for (const page of PAGES) expect(samples.filter((sample) => sample.page === page).length).toBeGreaterThan(0);
  const files = samples.map(fileOf);
  const elsewhere = said
    .split("\n")
    .filter((line) => line.includes("error TS") && !files.includes(line.split("(")[0] ?? ""));
  expect(elsewhere).toEqual([expect.stringMatching(/^mistake\.ts\(1,\d+\): error TS2345:/)]);
});
