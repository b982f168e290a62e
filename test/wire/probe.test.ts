import { expect, it } from "vitest";
import { createLogger } from "../../src/logger.js";
import { startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import { useNats } from "../support/nats.js";
import { Engine, withEnvelope } from "./peers.js";
const nats = useNats();
const nest = (d: number) => "[".repeat(d) + "]".repeat(d);
const env = () => JSON.stringify(withEnvelope({})).slice(1, -1);
async function alive(engine: Engine) {
  const t = performance.now();
  const s = await engine.status().catch((e: Error) => ({ orchestratorStatus: `DEAD ${e.message}` }));
  return `${s["orchestratorStatus"]} ${Math.round(performance.now() - t)}ms state=${engine.orchestrator.state}`;
}
const show = (x: unknown) => JSON.stringify(x).slice(0, 250);
const cases: Record<string, (e: Engine) => Promise<unknown>> = {
  ...Object.fromEntries([1000, 3000, 5000, 8000, 20000, 200000].map((d) => [`depth ${d}`, async (e: Engine) => {
    const r = await e.askRaw("orchestrator.task.submit", `{${env()},"task":{"taskId":"deep","type":"ocr","input":${nest(d)}}}`);
    const again = await e.askRaw("orchestrator.task.submit", `{${env()},"task":{"taskId":"deep","type":"ocr","input":${nest(d)}}}`);
    const g = await e.ask("task.get", { taskId: "deep" }).catch((x: Error) => x.message);
    return [r, again, g];
  }])),
  "many invalid": async (e) => { const t = performance.now(); const r = await e.askRaw("orchestrator.task.submit", `{${env()},"tasks":[${"{},".repeat(340000)}{}]}`, {deadlineMs: 15000}); return [performance.now() - t, r]; },
  "many invalid caps": async (e) => { const t = performance.now(); const r = await e.askRaw("agent.register", `{${env()},"registration":{"agentId":"k-1","capabilities":[${"1,".repeat(500000)}1]}}`, {deadlineMs: 15000}); return [performance.now() - t, r]; },
  "metadata 900K": async (e) => { const id = await e.submitted({ taskId: "meta", type: "ocr", input: "i".repeat(120000), metadata: { a: "x".repeat(900000) } }); const a = await e.agent("k-1"); return [id, show(await e.ask("task.get", { taskId: id }, {deadlineMs: 2000}).catch((x: Error) => x.message)), show(await a.nextTask({deadlineMs: 1000}).catch((x: Error) => x.message)), show(await e.ask("task.get", { taskId: id }, {deadlineMs: 2000}).catch((x: Error) => x.message))]; },
  "metadata inflating": async (e) => e.askRaw("orchestrator.task.submit", `{${env()},"task":{"taskId":"infl","type":"ocr","metadata":{"a":[${"1e20,".repeat(90000)}1]}}}`, {deadlineMs: 5000}),
  "output 1MB": async (e) => { const a = await e.agent("k-1"); const id = await e.submitted({ type: "ocr" }); const t = await a.takeTask(); const base = JSON.stringify(withEnvelope({result: {taskId: t.taskId, attempt: 1, token: t.token, agentId: "k-1", status: "completed", output: ""}})).length; a.complete(t, "x".repeat(1048576 - base)); return show(await e.ask("task.wait", { taskId: id, timeoutMs: 3000 }, {deadlineMs: 5000}).catch((x: Error) => x.message)); },
  "output 900KB": async (e) => { const a = await e.agent("k-1"); const id = await e.submitted({ type: "ocr", input: "i".repeat(120000) }); const t = await a.takeTask(); a.complete(t, "x".repeat(960000)); return [show(await e.ask("task.wait", { taskId: id, timeoutMs: 3000 }, {deadlineMs: 5000}).catch((x: Error) => x.message)), show(await e.ask("task.get", { taskId: id }, {deadlineMs: 2000}).catch((x: Error) => x.message))]; },
  "output deep": async (e) => { const a = await e.agent("k-1"); const id = await e.submitted({ type: "ocr" }); const t = await a.takeTask(); a.nats.publish(`${e.namespace}.agent.k-1.result`, `{${env()},"result":{"taskId":"${id}","attempt":1,"token":"${t.token}","agentId":"k-1","status":"completed","output":${nest(20000)}}}`); return show(await e.ask("task.wait", { taskId: id, timeoutMs: 2000 }, {deadlineMs: 5000}).catch((x: Error) => x.message)); },
  "output inflating": async (e) => { const a = await e.agent("k-1"); const id = await e.submitted({ type: "ocr" }); const t = await a.takeTask(); a.nats.publish(`${e.namespace}.agent.k-1.result`, `{${env()},"result":{"taskId":"${id}","attempt":1,"token":"${t.token}","agentId":"k-1","status":"completed","output":[${"1e20,".repeat(150000)}1]}}`); return show(await e.ask("task.wait", { taskId: id, timeoutMs: 2000 }, {deadlineMs: 5000}).catch((x: Error) => x.message)); },
  "progress 1MB": async (e) => { const a = await e.agent("k-1"); const id = await e.submitted({ type: "ocr" }); const t = await a.takeTask(); a.report({ state: "progress", taskId: id, token: t.token, progress: "x".repeat(1048000) }); return show(await e.ask("task.get", { taskId: id }, {deadlineMs: 5000}).catch((x: Error) => x.message)); },
  "registration metadata 1MB": async (e) => { const a = await e.silentAgent("k-1"); return show(await a.register({ metadata: { a: "x".repeat(1048200) } }).catch((x: Error) => x.message)); },
  "registration metadata 900K then status": async (e) => { const a = await e.silentAgent("k-1"); const b = await e.silentAgent("k-2");  return [show(await a.register({ metadata: { a: "x".repeat(900000) } }).catch((x: Error) => x.message)), show(await b.register({ metadata: { a: "x".repeat(900000) } }).catch((x: Error) => x.message))]; },
  "failure 1MB": async (e) => { const a = await e.agent("k-1"); const id = await e.submitted({ type: "ocr" }); const t = await a.takeTask(); a.fail(t, { type: "X", message: "x".repeat(1047900) }); return show(await e.ask("task.wait", { taskId: id, timeoutMs: 3000 }, {deadlineMs: 5000}).catch((x: Error) => x.message)); },
  "heartbeat metrics 1MB": async (e) => { const a = await e.agent("k-1"); return show(await a.askHeartbeat({ metrics: Object.fromEntries(Array.from({ length: 70000 }, (_, i) => [`m${i}`, i])) }).catch((x: Error) => x.message)); },
  "list huge": async (e) => { for (let b = 0; b < 4; b++) { const deps = await e.ask("task.submit", { tasks: Array.from({ length: 1000 }, (_, i) => ({ taskId: `d${b}-${i}-${"y".repeat(100)}`, type: "z".repeat(120) , requiredCapabilities: ["q".repeat(128)]})) }); if (deps.error) return deps; } return show(await e.ask("task.list", { limit: 1000 }, {deadlineMs: 5000}).catch((x: Error) => x.message)); },
};
for (const [name, run] of Object.entries(cases)) {
  it.concurrent(name, async () => {
    await using engine = await Engine.start(nats.url);
    if (process.env["LOGS"]) { await engine.orchestrator.stop(); engine.orchestrator = await startOrchestrator({ servers: nats.url, settings: { namespace: engine.namespace, maxConcurrentTasks: 0 }, logger: createLogger("warn", process.stderr) }); await engine.orchestrator.leading; }
    let out: unknown;
    try { out = await run(engine); } catch (x) { out = `THREW ${(x as Error).message.slice(0, 300)}`; }
    console.log(`### ${name}: ${show(out).slice(0, 1200)}\n      alive: ${await alive(engine)}`);
    expect(1).toBe(1);
  }, 60000);
}
