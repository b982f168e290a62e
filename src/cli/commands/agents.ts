/** `perdure agents`: who is there to work, how busy they are and when they were last heard of. */
import type { Command } from "commander";
import type { AgentView, SystemStatusReply } from "../../protocol/system-message.js";
import { agentChangeKey } from "../change-key.js";
import { agentStatePaint } from "../state-paint.js";
import type { Style } from "../style.js";
import { type Column, tableLines } from "../table.js";
import { durationText } from "../time-text.js";
import { runVerb } from "../verb.js";
import { present, type View, type ViewOptions } from "../view.js";
import { withViewOptions } from "./view-options.js";

export function addAgents(program: Command): void {
  withViewOptions(program.command("agents").description("list the agents")).action(
    (options: ViewOptions, command: Command) => runVerb(command, (settings) => present(settings, view, options)),
  );
}

const view: View<SystemStatusReply> = {
  ask: (client) => client.status(),
  lines: agentLines,
  json: ({ agentStatuses }) => ({ agents: agentStatuses }),
  entries: ({ agentStatuses }) =>
    agentStatuses.map((agent) => ({ id: agent.agentId, json: agent, changeKey: agentChangeKey(agent) })),
  remark,
};

function remark({ agentStatusesLeftOut: leftOut = 0 }: SystemStatusReply): string | undefined {
  return leftOut === 0 ? undefined : `… and ${leftOut} more, for which the answer has no room`;
}

function agentLines(status: SystemStatusReply, style: Style): readonly string[] {
  const { agentStatuses, timestamp } = status;
  if (agentStatuses.length === 0) return ["No agent is registered."];
  const sorted = [...agentStatuses].sort((a, b) => (a.agentId < b.agentId ? -1 : 1));
  const more = remark(status);
  return [
    ...tableLines(sorted, [...columnsAt(timestamp), ...usageColumnsFor(sorted)], style),
    ...(more === undefined ? [] : [style.paint("dim", more)]),
  ];
}

/** @param now the orchestrator's clock, by which agents were heard */
function columnsAt(now: number): readonly Column<AgentView>[] {
  return [
    { heading: "id", cell: (agent) => agent.agentId, givesWay: 5, widthMin: 12 },
    { heading: "state", cell: (agent) => agent.state, paint: (agent) => agentStatePaint[agent.state] },
    { heading: "incarnation", cell: (agent) => String(agent.incarnation), align: "right", givesWay: 3 },
    { heading: "load", cell: (agent) => `${agent.activeTaskCount}/${agent.maxConcurrentTasks}`, align: "right" },
    {
      heading: "heard",
      cell: (agent) => (agent.lastSeenAt === undefined ? "not yet" : `${durationText(now - agent.lastSeenAt)} ago`),
      align: "right",
      givesWay: 4,
    },
    { heading: "capabilities", cell: (agent) => agent.capabilities.join(", "), givesWay: 1, widthMin: 12 },
    { heading: "reason", cell: (agent) => agent.reason ?? "", givesWay: 2, widthMin: 20 },
  ];
}

/** Most fleets have no agent that costs anything. */
function usageColumnsFor(agents: readonly AgentView[]): readonly Column<AgentView>[] {
  if (agents.every(({ usage }) => usage === undefined)) return [];
  return [
    {
      heading: "cost",
      cell: ({ usage }) => (usage === undefined ? "" : `$${usage.cost.toFixed(4)}`),
      align: "right",
    },
    {
      heading: "tokens",
      cell: ({ usage }) => (usage === undefined ? "" : `${usage.tokens.input} in, ${usage.tokens.output} out`),
      givesWay: 6,
    },
  ];
}
