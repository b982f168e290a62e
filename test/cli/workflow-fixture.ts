/** Files with workflows, as somebody who has installed the package writes them, in a folder of the test. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

const library = new URL("../../dist/src/index.js", import.meta.url).href;

/** `code` may use `workflow` and `ApplicationFailure`. */
export async function givenModule(folder: string, name: string, code: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, `import { ApplicationFailure, task, workflow } from ${JSON.stringify(library)};\n${code}\n`);
  return file;
}

/** Says how often each thing was done, so that a test sees what a replay repeated. */
export const greetings = `
export const greet = workflow("greet", {}, async (ctx, name) => {
  let asked = 0;
  let greeting = "Hello";
  ctx.onQuery("greeting", () => greeting);
  ctx.onQuery("broken", () => { throw new Error("nobody knows"); });
  ctx.onUpdate("setGreeting", (given) => { asked += 1; greeting = given; return asked; }, {
    validate: (given) => { if (given === "") throw new Error("it is empty"); },
  });
  ctx.onUpdate("breakIt", () => { throw new ApplicationFailure("it broke", { type: "Broken" }); });
  const who = await ctx.signal("name");
  return greeting + ", " + who + "!";
});
export const fails = workflow("fails", {}, async () => {
  throw new ApplicationFailure("no luck", { type: "BadLuck", nonRetryable: true });
});
export const sleeps = workflow("sleeps", {}, async (ctx, ms) => {
  await ctx.step("begin", () => "begun");
  await ctx.sleep(ms);
  return "woken";
});
`;
