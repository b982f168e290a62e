import { type AgentOrder, AgentOrderMessage, AgentStatusMessage, agentOrderStates } from "../protocol/agent-message.js";
import { decodeJson } from "../protocol/decode.js";
import { type Parsed, parseMessage } from "../protocol/parse.js";

/**
 * The order in a message of the status subject; null for what is none, because an agent also hears its own reports
 * there, and states of later versions.
 */
export function decodeOrder(data: Uint8Array): Parsed<AgentOrder | null> {
  const decoded = decodeJson(data);
  if (!decoded.ok) return decoded;
  const message = parseMessage(AgentStatusMessage, decoded.value);
  if (!message.ok) return message;
  if (!agentOrderStates.has(message.value.status.state)) return { ok: true, value: null };
  const order = parseMessage(AgentOrderMessage, decoded.value);
  return order.ok ? { ok: true, value: order.value.status } : order;
}
