/** What both halves of the check are played on. */
import type { AgentProxy } from "./agent-proxy.js";
import type { CheckOptions } from "./check-options.js";
import type { CheckedAgent } from "./checked-agent.js";
import type { Verdict } from "./rule.js";

export interface Stage {
  readonly options: CheckOptions;
  /** For stores; removed afterwards. */
  readonly folder: string;
  readonly proxy: AgentProxy;
  readonly agent: CheckedAgent;
  /** What has to be undone, however the check ends; the last first. */
  readonly undo: (() => unknown)[];
  readonly say: (line: string) => void;
  readonly note: (verdict: Verdict) => void;
}
