/** One request is decided after two reminders, another runs into its deadline: `node dist/workflows/approval/main.js`. */
import { setTimeout as delay } from "node:timers/promises";
import { connectClient, UpdateFailedError, worker } from "perdure";
import { startLocalSystem } from "perdure/testing";
import { approval } from "./workflows.js";

const system = await startLocalSystem({ onNotice: (notice) => console.error(notice) });
const workflowWorker = await worker({ servers: system.url, workflows: [approval] });
const client = await connectClient({ servers: system.url });

const request = { what: "a new chair", by: "bo", approver: "ada", remindEveryMs: 900, deadlineMs: 60_000 };
const run = await client.start(approval, request);
await run.signal("comment", { by: "bo", text: "the old one is broken" });
const hurried = await client.start(approval, { ...request, what: "a second chair", deadlineMs: 1_000 });

await delay(2_000);
console.log("state:", await run.query("state"));
try {
  await run.update("decide", { approved: true, by: "bo" });
} catch (fault) {
  if (!(fault instanceof UpdateFailedError)) throw fault;
  console.log(`${fault.stage}: ${fault.failure.message}`);
}
await run.update("decide", { approved: true, by: "ada", comment: "a good one" });
console.log("decided:", await run.result());
console.log("at its deadline:", await hurried.result());

await client.close();
await workflowWorker.drain();
await system.stop();
