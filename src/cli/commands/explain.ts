/** `perdure explain`: why a task waits, and what it waits for. */
import type { Command } from "commander";
import type { AgentFitness, Explanation, OpenDependency } from "../explanation.js";
import { taskStatePaint } from "../state-paint.js";
import type { Paint, Style } from "../style.js";
import { type Column, tableLines } from "../table.js";
import { oneLine } from "../terminal-text.js";
import { runVerb } from "../verb.js";
import { present, type View, type ViewOptions } from "../view.js";
import { withViewOptions } from "./view-options.js";

export function addExplain(program: Command): void {
  const command = program
    .command("explain")
    .description("say why a task waits: agents that could take it and why others cannot, its place, its dependencies")
    .argument("<taskId>", "the task's id");
  withViewOptions(command).action((taskId: string, options: ViewOptions, verb: Command) =>
    runVerb(verb, (settings) => present(settings, viewOf(taskId), options)),
  );
}

function viewOf(taskId: string): View<Explanation> {
  return {
    ask: async (client) => {
      const { explainTask } = await import("../explanation.js");
      return await explainTask(client, taskId);
    },
    lines: explanationLines,
    json: (explanation) => explanation,
    entries: (explanation) => [{ id: taskId, json: explanation, changeKey: changeKeyOf(explanation) }],
    isFinal: ({ state }) => endStates.has(state),
  };
}

const endStates: ReadonlySet<string> = new Set(["completed", "failed", "cancelled", "timed_out", "terminated"]);

/** Sentences that count seconds are left out. */
function changeKeyOf({ state, agents, openDependencies, line }: Explanation): unknown {
  return [
    state,
    agents.map(({ agentId, fitness }) => [agentId, fitness]),
    openDependencies.map((d) => [d.taskId, d.state]),
    line,
  ];
}

const fitnessPaint: Readonly<Record<AgentFitness["fitness"], Paint>> = {
  couldTakeIt: "green",
  busy: "yellow",
  unwell: "red",
  unable: "dim",
};
const fitnessText: Readonly<Record<AgentFitness["fitness"], string>> = {
  couldTakeIt: "could take it",
  busy: "busy",
  unwell: "unwell",
  unable: "unable",
};

function explanationLines(explanation: Explanation, style: Style): readonly string[] {
  const { taskId, state, reason, agents, agentsLeftOut, openDependencies, line } = explanation;
  const head = `task ${style.paint("bold", taskId)} is ${style.paint(taskStatePaint[state], state)}: ${oneLine(reason)}`;
  const place =
    line === undefined
      ? []
      : ["", `about place ${line.place} of ${line.length} in the line of tasks that ask for the same`];
  const agentLines = agents.length === 0 ? [] : ["", ...tableLines(agents, agentColumns, style)];
  const more =
    agentsLeftOut === 0 ? [] : [style.paint("dim", `… and ${agentsLeftOut} more, for which the answer has no room`)];
  const dependencyLines =
    openDependencies.length === 0 ? [] : ["", ...tableLines(openDependencies, dependencyColumns, style)];
  return [head, ...place, ...agentLines, ...more, ...dependencyLines];
}

const agentColumns: readonly Column<AgentFitness>[] = [
  { heading: "agent", cell: ({ agentId }) => agentId, givesWay: 2, widthMin: 12 },
  { heading: "fitness", cell: ({ fitness }) => fitnessText[fitness], paint: ({ fitness }) => fitnessPaint[fitness] },
  { heading: "why", cell: ({ detail }) => detail, givesWay: 1, widthMin: 20 },
];

const dependencyColumns: readonly Column<OpenDependency>[] = [
  { heading: "depends on", cell: ({ taskId }) => taskId, givesWay: 2, widthMin: 12 },
  {
    heading: "state",
    cell: ({ state }) => state,
    paint: ({ state }) => (state === "unknown" ? "red" : taskStatePaint[state]),
  },
  { heading: "why", cell: ({ reason }) => reason ?? "", givesWay: 1, widthMin: 20 },
];
