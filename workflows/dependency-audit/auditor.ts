/**
 * One agent of the audit, as a process:
 *
 *   node dist/workflows/dependency-audit/auditor.js --id auditor-1 --capabilities audit-licence,audit-size \
 *     --server nats://127.0.0.1:4222 --namespace mcp
 *
 * Prints `registered <id>` when an orchestrator has confirmed it, logs to stderr, drains on SIGTERM and Ctrl-C.
 */
import { agent, drainOnSignals, type TaskHandler, withInput } from "perdure";
import { type Capability, tasksInHandMax } from "./crew.js";
import { auditEngines } from "./engines.js";
import { auditLicence } from "./licence.js";
import { runMember, UsageError } from "./member.js";
import { PackageTaskInput } from "./messages.js";
import { auditSize } from "./size.js";

const handlers: Readonly<Record<Capability, TaskHandler>> = {
  "audit-licence": withInput(PackageTaskInput, (_, input) => auditLicence(input)),
  "audit-size": withInput(PackageTaskInput, (_, input) => auditSize(input)),
  "audit-engines": withInput(PackageTaskInput, (_, input) => auditEngines(input)),
};

function capabilityNamed(text: string): Capability {
  const names = Object.keys(handlers) as Capability[];
  const found = names.find((name) => name === text.trim());
  if (found === undefined) throw new UsageError(`there is no capability "${text}"; there are ${names.join(", ")}`);
  return found;
}

await runMember("auditor", async ({ id, server, namespace, capabilities }) => {
  if (capabilities === undefined) throw new UsageError("--capabilities is needed");
  const able = capabilities.split(",").map(capabilityNamed);
  const auditor = agent(id, {
    tasks: Object.fromEntries(able.map((capability) => [capability, handlers[capability]])),
    maxConcurrentTasks: tasksInHandMax,
    servers: server,
    namespace,
    metadata: { pid: process.pid },
  });
  drainOnSignals(auditor);
  await auditor.start();
  return auditor;
});
