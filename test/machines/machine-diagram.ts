/** Draws a machine as Markdown: a Mermaid diagram of what changes, and a table of every declared transition. */
import type { AnyStateMachine } from "xstate";

interface Arrow {
  readonly from: string;
  readonly event: string;
  readonly guard: string;
  readonly to: string;
  readonly actions: readonly string[];
}

export function drawMachine(machine: AnyStateMachine, options: { title: string; source: string }): string {
  const arrows = arrowsOf(machine);
  return [
    `# ${options.title}`,
    "",
    `Drawn from [${options.source}](../../${options.source}) by \`npm run generate\`; a test fails when it is out of date.`,
    "Events that a state knows and ignores are in the table only; whatever is in neither is refused.",
    "",
    "```mermaid",
    "stateDiagram-v2",
    `  [*] --> ${String(machine.config.initial)}`,
    ...bundle(arrows.filter((arrow) => !isIgnored(arrow))).map(
      ({ from, to, labels }) => `  ${from} --> ${to}: ${labels.join("<br/>")}`,
    ),
    ...Object.values(machine.states)
      .filter((node) => node.type === "final")
      .map((node) => `  ${node.key} --> [*]`),
    "```",
    "",
    "| State | Event | Condition | Next state | Actions |",
    "| --- | --- | --- | --- | --- |",
    ...arrows.map(
      ({ from, event, guard, to, actions }) => `| ${from} | ${event} | ${guard} | ${to} | ${actions.join(", ")} |`,
    ),
    "",
  ].join("\n");
}

function arrowsOf(machine: AnyStateMachine): Arrow[] {
  return Object.values(machine.states).flatMap((node) =>
    Object.entries(node.on).flatMap(([event, transitions]) =>
      transitions.map(({ guard, target, actions }, index) => ({
        from: node.key,
        event,
        guard: guard === undefined ? (index === 0 ? "" : "otherwise") : nameOf(guard),
        to: target?.[0]?.key ?? node.key,
        actions: actions.map(actionName),
      })),
    ),
  );
}

/** One arrow for all events that lead from a state to another: a diagram with a line each cannot be read. */
function bundle(arrows: readonly Arrow[]): { from: string; to: string; labels: string[] }[] {
  const bundles = new Map<string, { from: string; to: string; labels: string[] }>();
  for (const { from, to, event, guard } of arrows) {
    const key = `${from} ${to}`;
    const known = bundles.get(key) ?? { from, to, labels: [] };
    known.labels.push(guard === "" || guard === "otherwise" ? event : `${event} [${guard}]`);
    bundles.set(key, known);
  }
  return [...bundles.values()];
}

const isIgnored = (arrow: Arrow): boolean =>
  arrow.from === arrow.to && arrow.actions.every((action) => action.startsWith("ignore"));

/** An effect is named by the function that makes it: `emit dispatch`. */
function actionName(action: unknown): string {
  const { params } = Object(action) as { params?: unknown };
  return typeof params === "function" ? `${nameOf(action)} ${params.name}` : nameOf(action);
}

/** Guards and actions are written as a name, or as an object with a name for a type. */
function nameOf(named: unknown): string {
  return typeof named === "string" ? named : String((Object(named) as { type?: unknown }).type);
}
