/** Who does the audit: the agents, each a process of its own, and what each can do. */
import { type PackageTaskType, reportTaskType } from "./messages.js";

export type Capability = PackageTaskType | typeof reportTaskType;

export interface CrewMember {
  readonly agentId: string;
  readonly capabilities: readonly Capability[];
}

/** Each capability twice, so that whoever is killed, somebody else can do the rest. */
export const crew: readonly CrewMember[] = [
  { agentId: "auditor-1", capabilities: ["audit-licence", "audit-size"] },
  { agentId: "auditor-2", capabilities: ["audit-licence", "audit-size"] },
  { agentId: "auditor-3", capabilities: ["audit-engines", "audit-size", reportTaskType] },
  { agentId: "auditor-4", capabilities: ["audit-engines", "audit-size", reportTaskType] },
];

/** Tasks an agent has in hand at a time. Few, so that the work spreads and a kill meets some of it. */
export const tasksInHandMax = 3;
