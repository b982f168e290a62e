/** Who does the audit, each a process of its own: workers run the workflow, agents look at the disk. */
export type Capability = "audit-licence" | "audit-size" | "audit-engines";

export interface CrewMember {
  readonly agentId: string;
  readonly capabilities: readonly Capability[];
}

/** Each capability twice, so that whoever is killed, somebody else can do the rest. */
export const auditors: readonly CrewMember[] = [
  { agentId: "auditor-1", capabilities: ["audit-licence", "audit-size"] },
  { agentId: "auditor-2", capabilities: ["audit-licence", "audit-size"] },
  { agentId: "auditor-3", capabilities: ["audit-engines", "audit-size"] },
  { agentId: "auditor-4", capabilities: ["audit-engines", "audit-size"] },
];

export const workerIds: readonly string[] = ["worker-1", "worker-2"];

/** Tasks an agent has in hand at a time. Few, so that the work spreads. */
export const tasksInHandMax = 3;
