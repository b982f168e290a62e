/** docs/command-line.md says what the program does: the verbs are drawn from it, the rest is compared with it. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { exitStatus } from "../../src/cli/exit-status.js";
import { createProgram } from "../../src/cli/program.js";
import { verbsAsMarkdown } from "./verbs-as-markdown.js";

const page = new URL("../../docs/command-line.md", import.meta.url);
const [begin, end] = ["<!-- verbs: drawn from the program -->", "<!-- end of verbs -->"];

/** `npx vitest run test/cli/command-line-page.test.ts --update` draws it again. */
it("has every verb and option as they are now", async () => {
  const text = await readFile(page, "utf8");
  const [before = "", rest = ""] = text.split(begin);
  const [, after = ""] = rest.split(end);

  const drawn = [before, begin, "\n\n", verbsAsMarkdown(createProgram()), "\n\n", end, after].join("");

  await expect(drawn).toMatchFileSnapshot("../../docs/command-line.md");
});

it("explains every exit status", async () => {
  const text = await readFile(page, "utf8");

  for (const status of Object.values(exitStatus)) expect(text).toMatch(new RegExp(`^\\| ${status} \\|`, "m"));
});

it("names every environment variable that is read", async () => {
  const text = await readFile(page, "utf8");
  const source = await readFile(new URL("../../src/cli/environment.ts", import.meta.url), "utf8");
  const names = [...source.matchAll(/^ {2}([A-Z_]+): z\./gm)].map(([, name]) => name);

  expect(names.length).toBeGreaterThan(10);
  for (const name of names) expect(text).toContain(`| \`${name}\` |`);
});
