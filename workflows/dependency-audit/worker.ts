/**
 * One worker of the audit, as a process:
 *
 *   node dist/workflows/dependency-audit/worker.js --id worker-1 --server nats://127.0.0.1:4222 --namespace mcp
 *
 * Prints `registered <id>` when an orchestrator has confirmed it, drains on SIGTERM and Ctrl-C.
 */
import { drainOnSignals, worker } from "perdure";
import { runMember } from "./member.js";
import { dependencyAudit, packageChecks } from "./workflows.js";

await runMember("worker", async ({ id, server, namespace }) => {
  const started = await worker({
    id,
    servers: server,
    namespace,
    workflows: [dependencyAudit, packageChecks],
    metadata: { pid: process.pid },
  });
  drainOnSignals(started);
  return started;
});
