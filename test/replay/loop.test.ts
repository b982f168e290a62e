import require_fs from "node:fs";
import { test } from "vitest";
import { LocalOrchestrator } from "../../src/testing/local-orchestrator.js";
import { testEnvironment } from "../../src/testing/index.js";
import { silentLogger } from "../../src/logger.js";
import fc from "fast-check";
import { anyProgram, programs } from "./random-program.js";
const step = LocalOrchestrator.prototype.step;
let n = 0; let last: unknown;
LocalOrchestrator.prototype.step = function (this: LocalOrchestrator) { n += 1; if (n % 20000 === 0) require_fs.appendFileSync("/tmp/loop.log", `step ${n} ${this.now} ${this.core.nextDeadlineAt}\n`); const r = step.call(this); if (n > 200000) { 
  console.log(JSON.stringify(last)); console.log(this.now, this.core.nextDeadlineAt, [...this.core.ledger.tasks.values()].filter(t=>!["completed","failed","cancelled","timed_out"].includes(t.state)).map(t=>[t.spec.taskId,t.spec.type,t.state,t.agentId,t.token, t.spec.role?.kind]), [...this.core.ledger.agents.values()].map(a=>[a.agentId,a.state]), (this as any).isSettled); throw new Error("loop"); } return r; };
test("x", async () => {
  let i = 0; for (const program of fc.sample(programs, { numRuns: 300, seed: 5 })) {
    n = 0; last = program; (await import("node:fs")).appendFileSync("/tmp/loop.log", `${i++} ${JSON.stringify(program)}\n`);
    const env = testEnvironment({ workflows: [anyProgram], logger: silentLogger, tasks: { quick: () => 1, failing: () => { throw new Error("f"); }, deaf: "hang", slow: async () => { await env.sleep("2s"); return 1; } } });
    const run = await env.start(anyProgram, program);
    await env.sleep("1s"); await run.signal("a", 1).catch(() => 0);
    await env.sleep("1 days");
  }
});
