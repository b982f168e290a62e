import { expect, test } from "vitest";
import { workflow } from "/tmp/wf/src/index.js";
import { testEnvironment } from "/tmp/wf/src/testing/index.js";
test("x", async () => {
  let runs = 0;
  const lost = workflow("lost", {}, async (ctx) => {
    return await ctx.step("long", async () => {
      runs += 1;
      console.log("begin", runs, env.now);
      if (runs === 1) await env.sleep("1h");
      console.log("end", runs, env.now);
      return runs;
    });
  });
  const env = testEnvironment({workflows: [lost]});
  const run = await env.start(lost, undefined);
  await env.sleep("1m");
  console.log("deploy", env.now);
  await env.deploy([lost]);
  console.log("deployed", env.now, await run.describe());
  console.log(await run.result());
});
