/** `perdure doctor` without its words: finds the facts out, and has each check judge them. */
import { checkAccount } from "./checks/account.js";
import { checkAgents } from "./checks/agents.js";
import { checkClocks } from "./checks/clocks.js";
import { checkConnection } from "./checks/connection.js";
import { checkDisk } from "./checks/disk.js";
import { checkDurability } from "./checks/durability.js";
import { checkJournal } from "./checks/journal.js";
import { checkOrchestrator } from "./checks/orchestrator.js";
import { checkServer } from "./checks/server.js";
import { checkStreams } from "./checks/streams.js";
import { checkSubjects } from "./checks/subjects.js";
import { checkTasks } from "./checks/tasks.js";
import type { Facts } from "./facts.js";
import { type CheckName, type CheckReport, checkNames, Notes } from "./finding.js";
import { type GatherOptions, gatherFacts } from "./gather.js";

export interface DoctorReport {
  /** The worst that was found. */
  readonly verdict: "ok" | "warning" | "problem";
  /** Whether a server could be talked to, to the end. */
  readonly reached: "yes" | "no";
  /** Of the server that was asked; null where there was none. */
  readonly server: string | null;
  readonly namespace: string;
  /** Of this package. */
  readonly version: string;
  /** When the looking began, epoch milliseconds. */
  readonly startedAt: number;
  readonly checks: readonly CheckReport[];
}

/** Resolves within a few times `timeoutMs` and `observeMs`, whatever the other side does. @throws PerdureError USAGE */
export async function examine(options: GatherOptions): Promise<DoctorReport> {
  return judge(await gatherFacts(options));
}

const checks: Readonly<Record<CheckName, (facts: Facts, notes: Notes) => void>> = {
  connection: checkConnection,
  server: checkServer,
  account: checkAccount,
  streams: checkStreams,
  subjects: checkSubjects,
  journal: checkJournal,
  durability: checkDurability,
  orchestrator: checkOrchestrator,
  clocks: checkClocks,
  disk: checkDisk,
  agents: checkAgents,
  tasks: checkTasks,
};

export function judge(facts: Facts): DoctorReport {
  const reports = checkNames.map((name) => {
    const notes = new Notes();
    checks[name](facts, notes);
    return notes.report(name);
  });
  const severities = reports.flatMap(({ findings }) => findings.map(({ severity }) => severity));
  const { namespace, ownVersion, startedAt, dial } = facts;
  const isReached = "url" in dial.connected && dial.interruption === null;
  return {
    verdict: severities.includes("problem") ? "problem" : severities.length > 0 ? "warning" : "ok",
    reached: isReached ? "yes" : "no",
    server: "url" in dial.connected ? dial.connected.url : null,
    namespace,
    version: ownVersion,
    startedAt,
    checks: reports,
  };
}
