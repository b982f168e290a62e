import { addAmounts } from "../protocol/failure.js";
import type { AgentId } from "../protocol/ids.js";
import type { UsageTotal } from "../protocol/system-message.js";

const nothing: UsageTotal = { cost: 0, tokens: { input: 0, output: 0 } };

/** What tasks cost since this leadership began. */
export class Spending {
  readonly #byAgent = new Map<AgentId, UsageTotal>();
  #total = nothing;

  /** Of the tasks that ended. */
  get total(): UsageTotal {
    return this.#total;
  }

  add(usage: UsageTotal): void {
    this.#total = addAmounts(this.#total, usage);
  }

  /** Of the attempts of an agent, also of tasks that are under way; undefined where it told of none. */
  ofAgent(agentId: AgentId): UsageTotal | undefined {
    return this.#byAgent.get(agentId);
  }

  addToAgent(agentId: AgentId, usage: UsageTotal): void {
    this.#byAgent.set(agentId, addAmounts(this.#byAgent.get(agentId) ?? nothing, usage));
  }

  forget(agentId: AgentId): void {
    this.#byAgent.delete(agentId);
  }
}
