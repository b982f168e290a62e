/** `perdure status`: how the system is, on one screen, and why work waits if it does. */
import type { Command } from "commander";
import type { Client, TaskList } from "../../client/client.js";
import type { HealthMessage, HealthStatus, SystemStatusReply } from "../../protocol/system-message.js";
import type { TaskView } from "../../protocol/task-message.js";
import { agentChangeKey } from "../change-key.js";
import { labelLines } from "../label-lines.js";
import { agentStatePaint, orchestratorStatePaint, taskStatePaint } from "../state-paint.js";
import type { Paint, Style } from "../style.js";
import { cutTo, oneLine } from "../terminal-text.js";
import { durationText } from "../time-text.js";
import { runVerb } from "../verb.js";
import { present, type View, type ViewOptions } from "../view.js";
import { withViewOptions } from "./view-options.js";

interface Overview {
  readonly status: SystemStatusReply;
  readonly health: HealthMessage;
  /** Some of the tasks that nobody works on. */
  readonly held: TaskList;
}

/** Enough to see what holds most of them up. */
const HELD_LIMIT = 200;
const NAMED_REASONS_MAX = 5;

export function addStatus(program: Command): void {
  withViewOptions(program.command("status").description("show how the system is, and why work waits")).action(
    (options: ViewOptions, command: Command) => runVerb(command, (settings) => present(settings, view, options)),
  );
}

const view: View<Overview> = {
  ask: askOverview,
  lines: (overview, style) => [
    ...summaryLines(overview, style),
    ...heldLines(overview, style),
    ...ailingLines(overview, style),
  ],
  json: ({ status }) => status,
  entries: (overview) => [{ id: "status", json: overview.status, changeKey: changeKeyOf(overview) }],
};

function changeKeyOf({ status: { messageId: _, timestamp: __, agentStatuses, ...news }, health, held }: Overview) {
  return {
    ...news,
    agents: agentStatuses.map(agentChangeKey),
    health: health.status,
    held: held.tasks.map(({ taskId, state }) => [taskId, state]),
  };
}

async function askOverview(client: Client): Promise<Overview> {
  const [status, health, held] = await Promise.all([
    client.status(),
    client.health(),
    client.list({ states: ["queued", "waiting", "backoff"], limit: HELD_LIMIT }),
  ]);
  return { status, health, held };
}

const healthPaint: Readonly<Record<HealthStatus, Paint>> = { healthy: "green", degraded: "yellow", unhealthy: "red" };

function summaryLines({ status, health }: Overview, style: Style): readonly string[] {
  const { orchestratorStatus, endedTaskCounts, usage, journalSequence, checkpointSequence } = status;
  const leading =
    orchestratorStatus === "leading" ? ` for ${durationText(status.timestamp - status.leadingSince)}` : "";
  const count = (paint: Paint | undefined, number: number, what: string): string =>
    style.paint(number === 0 ? "dim" : paint, `${number} ${what}`);
  const absent = status.agentStatuses.filter(({ state }) => state === "lost").length;
  return labelLines(
    [
      ["orchestrator", `${style.paint(orchestratorStatePaint[orchestratorStatus], orchestratorStatus)}${leading}`],
      ["health", style.paint(healthPaint[health.status], health.status)],
      ["namespace", status.namespace],
      ["version", status.version],
      ["durability", style.paint(durabilityPaint(status), status.durability)],
      [
        "agents",
        [
          count("green", status.healthyAgentCount, "healthy"),
          count("yellow", status.unhealthyAgentCount, "unhealthy"),
          ...(absent === 0 ? [] : [count("red", absent, "lost")]),
        ].join(", "),
      ],
      [
        "tasks",
        [
          count(taskStatePaint.running, status.activeTaskCount, "active"),
          count(taskStatePaint.queued, status.queuedTaskCount, "queued"),
          count(taskStatePaint.waiting, status.waitingTaskCount, "waiting for others"),
          count(taskStatePaint.backoff, status.backoffTaskCount, "between attempts"),
        ].join(", "),
      ],
      [
        "workflows",
        [
          count(undefined, status.openWorkflowCount, "open"),
          count(taskStatePaint.stuck, status.stuckWorkflowCount, "stuck"),
        ].join(", "),
      ],
      [
        "ended",
        (["completed", "failed", "timed_out", "cancelled", "terminated"] as const)
          .map((state) => count(taskStatePaint[state], endedTaskCounts[state] ?? 0, state))
          .join(", "),
      ],
      ...deadLetterLines(status, count),
      ["usage", `$${usage.cost.toFixed(4)}, ${usage.tokens.input} tokens in, ${usage.tokens.output} out`],
      [
        "journal",
        `${journalSequence}, checkpoint ${checkpointSequence} (${journalSequence - checkpointSequence} behind)`,
      ],
    ],
    style,
  );
}

/** Said where there are any, as most systems have no foreign fleets. */
function deadLetterLines(
  { deadLetterCount = 0 }: SystemStatusReply,
  count: (paint: Paint | undefined, number: number, what: string) => string,
): [string, string][] {
  if (deadLetterCount === 0) return [];
  return [["dead letters", `${count("red", deadLetterCount, "kept")}; perdure dead-letters list`]];
}

const durabilityPaint = ({ durability }: SystemStatusReply): Paint =>
  durability === "fsync" || durability === "replicated" ? "green" : "yellow";

/** Tasks with the same reason count as one line, the longest line of tasks first. */
function heldLines({ held: { tasks, total } }: Overview, style: Style): readonly string[] {
  if (tasks.length === 0) return [];
  const byReason = new Map<string, TaskView[]>();
  for (const task of tasks) {
    const reason = `${task.state}: ${task.reason ?? "no reason given"}`;
    byReason.set(reason, [...(byReason.get(reason) ?? []), task]);
  }
  const groups = [...byReason].sort(([, a], [, b]) => b.length - a.length);
  const named = groups.slice(0, NAMED_REASONS_MAX);
  const left = total - named.reduce((sum, [, group]) => sum + group.length, 0);
  return [
    "",
    style.paint("bold", "Not being worked on"),
    ...named.map(([reason, group]) => {
      const [first] = group;
      const text = `${group.length} ${oneLine(reason)} (${first?.taskId}${group.length === 1 ? "" : ", …"})`;
      return cutTo(`  ${text}`, style.width);
    }),
    ...(left > 0 ? [`  and ${left} more; perdure ps --state queued waiting backoff lists them`] : []),
  ];
}

function ailingLines({ status: { agentStatuses }, health }: Overview, style: Style): readonly string[] {
  const agents = agentStatuses
    .filter(({ state }) => state === "unhealthy" || state === "lost")
    .map(
      ({ agentId, state, reason }) =>
        [agentStatePaint[state], `agent ${agentId} is ${state}${reason === undefined ? "" : `: ${reason}`}`] as const,
    );
  const components = Object.entries(health.components)
    .filter(([, component]) => component.status !== "healthy")
    .map(
      ([name, { status, detail }]) =>
        [healthPaint[status], `${name}: ${status}${detail === undefined ? "" : `, ${detail}`}`] as const,
    );
  const ailing = [...components, ...agents];
  if (ailing.length === 0) return [];
  const lines = ailing.map(([paint, text]) => style.paint(paint, cutTo(`  ${oneLine(text)}`, style.width)));
  return ["", style.paint("bold", "To look at"), ...lines];
}
