/**
 * One agent of the audit, as a process:
 *
 *   node dist/workflows/dependency-audit/auditor.js --id auditor-1 --capabilities audit-licence,audit-size \
 *     --server nats://127.0.0.1:4222 --namespace mcp
 *
 * Prints `registered <id>` when an orchestrator has confirmed it, logs to stderr, drains on SIGTERM and Ctrl-C.
 */
import { parseArgs } from "node:util";
import { agent, drainOnSignals, PerdureError, TaskFailure, type TaskHandler, withInput } from "perdure";
import { AuditError } from "./audit-error.js";
import { type Capability, tasksInHandMax } from "./crew.js";
import { auditEngines } from "./engines.js";
import { auditLicence } from "./licence.js";
import { PackageTaskInput, ReportTaskInput } from "./messages.js";
import { packReport } from "./packed-report.js";
import { auditReport } from "./report.js";
import { auditSize } from "./size.js";

const handlers: Readonly<Record<Capability, TaskHandler>> = {
  "audit-licence": withInput(PackageTaskInput, (_, input) => refusingForGood(auditLicence(input))),
  "audit-size": withInput(PackageTaskInput, (_, input) => refusingForGood(auditSize(input))),
  "audit-engines": withInput(PackageTaskInput, (_, input) => refusingForGood(auditEngines(input))),
  "audit-report": withInput(ReportTaskInput, ({ dependencyResults }, input) =>
    refusingForGood(auditReport(input, dependencyResults).then(packReport)),
  ),
};

/** An AuditError does not go away by asking again; whatever else fails (EIO, EMFILE) is worth another attempt. */
async function refusingForGood<Output>(audited: Promise<Output>): Promise<Output> {
  try {
    return await audited;
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    throw new TaskFailure(error.message, { type: error.code, nonRetryable: true, cause: error });
  }
}

const usageStatus = 2;

class UsageError extends Error {
  override readonly name = "UsageError";
}

interface AuditorOptions {
  readonly id: string;
  readonly capabilities: readonly Capability[];
  readonly server: string;
  readonly namespace: string;
}

function parseOptions(args: readonly string[]): AuditorOptions {
  const text = { type: "string" } as const;
  const options = { id: text, capabilities: text, server: text, namespace: text };
  const { id, capabilities, server, namespace } = parsedValues(() => parseArgs({ args: [...args], options }).values);
  if (id === undefined || capabilities === undefined) throw new UsageError("--id and --capabilities are needed");
  return {
    id,
    capabilities: capabilities.split(",").map(capabilityNamed),
    server: server ?? "nats://127.0.0.1:4222",
    namespace: namespace ?? "mcp",
  };
}

function parsedValues<Values>(parse: () => Values): Values {
  try {
    return parse();
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function capabilityNamed(text: string): Capability {
  const names = Object.keys(handlers) as Capability[];
  const found = names.find((name) => name === text.trim());
  if (found === undefined) throw new UsageError(`there is no capability "${text}"; there are ${names.join(", ")}`);
  return found;
}

async function run({ id, capabilities, server, namespace }: AuditorOptions): Promise<void> {
  const auditor = agent(id, {
    tasks: Object.fromEntries(capabilities.map((capability) => [capability, handlers[capability]])),
    maxConcurrentTasks: tasksInHandMax,
    servers: server,
    namespace,
    metadata: { pid: process.pid },
  });
  drainOnSignals(auditor);
  await auditor.start();
  process.stdout.write(`registered ${id}\n`);
  await auditor.closed;
}

try {
  await run(parseOptions(process.argv.slice(2)));
} catch (fault) {
  const isUsage = fault instanceof UsageError;
  const expected = isUsage || fault instanceof PerdureError;
  const text = fault instanceof Error ? (expected ? fault.message : (fault.stack ?? fault.message)) : String(fault);
  process.stderr.write(`auditor: ${text}\n`);
  process.exitCode = isUsage ? usageStatus : 1;
}
