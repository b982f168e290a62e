/** Runs the smallest workflow on an engine of its own: `node dist/workflows/hello/main.js [name]`. */
import { connectClient, worker } from "perdure";
import { startLocalSystem } from "perdure/testing";
import { hello } from "./workflows.js";

const system = await startLocalSystem({ onNotice: (notice) => console.error(notice) });
const workflowWorker = await worker({ servers: system.url, workflows: [hello] });
const client = await connectClient({ servers: system.url });

const run = await client.start(hello, process.argv[2] ?? "world");
console.log(await run.result());

await client.close();
await workflowWorker.drain();
await system.stop();
