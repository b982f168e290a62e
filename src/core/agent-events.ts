import type { AgentRecord } from "../protocol/agent-record.js";
import type { SystemEventType } from "../protocol/system-message.js";
import type { Ledger } from "./ledger.js";

/** Tells everybody what was decided about an agent. */
export function announceAgent(
  ledger: Ledger,
  eventType: Extract<SystemEventType, `AGENT_${string}`>,
  agent: AgentRecord,
  more: Record<string, unknown> = {},
): void {
  const { agentId, incarnation, reason } = agent;
  ledger.broadcast(eventType, { agentId, incarnation, ...(reason === null ? {} : { reason }), ...more });
}
