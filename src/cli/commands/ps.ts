/** `perdure ps`: tasks, newest first, each with what it waits for. */
import { type Command, Option } from "commander";
import type { TaskList } from "../../client/client.js";
import { PerdureError } from "../../errors.js";
import type { Priority } from "../../protocol/priority.js";
import type { SearchFilter } from "../../protocol/search-attributes.js";
import { searchTermsOf } from "../../protocol/search-terms.js";
import type { TaskState, TaskView } from "../../protocol/task-message.js";
import { taskChangeKey } from "../change-key.js";
import { parseCount } from "../option-values.js";
import { priorityPaint, taskStatePaint } from "../state-paint.js";
import type { Style } from "../style.js";
import { type Column, tableLines } from "../table.js";
import { durationText } from "../time-text.js";
import { runVerb } from "../verb.js";
import { present, type View, type ViewOptions } from "../view.js";
import { withViewOptions } from "./view-options.js";

interface PsOptions extends ViewOptions {
  readonly state?: readonly TaskState[];
  readonly type?: string;
  readonly agent?: string;
  readonly workflow?: string;
  readonly search?: readonly string[];
  readonly limit: number;
}

/** About what a terminal holds a few times over. */
const LIMIT_DEFAULT = 100;

export function addPs(program: Command): void {
  const command = program
    .command("ps")
    .description("list tasks and workflows that have not ended, and ended ones still in memory");
  command.addOption(new Option("--state <states...>", "only these states").choices(Object.keys(taskStatePaint)));
  command.option("--type <type>", "only this type");
  command.option("--agent <agentId>", "only tasks of this agent");
  command.option("--workflow <workflowId>", "only tasks that this workflow asked for");
  command.option("--search <name=value...>", "only workflows with this search attribute; of several, with all of them");
  command.option("--limit <n>", "how many at most, up to 1000", parseCount, LIMIT_DEFAULT);
  withViewOptions(command).action((options: PsOptions, ps: Command) =>
    runVerb(ps, async (settings) => {
      const { LIST_LIMIT_MAX } = await import("../../protocol/task-message.js");
      if (options.limit < 1 || options.limit > LIST_LIMIT_MAX) {
        throw new PerdureError("USAGE", `--limit is ${options.limit} and may be 1 to ${LIST_LIMIT_MAX}`);
      }
      return await present(settings, viewOf(options), options);
    }),
  );
}

function viewOf({ state, type, agent, workflow, search, limit }: PsOptions): View<TaskList> {
  const filter = {
    limit,
    ...(state === undefined ? {} : { states: state }),
    ...(type === undefined ? {} : { type }),
    ...(agent === undefined ? {} : { agentId: agent }),
    ...(workflow === undefined ? {} : { workflowId: workflow }),
    ...(search === undefined ? {} : { searchAttributes: wantedBy(search) }),
  };
  return {
    ask: (client) => client.list(filter),
    lines: taskListLines,
    json: (list) => list,
    entries: ({ tasks }) => tasks.map((task) => ({ id: task.taskId, json: task, changeKey: taskChangeKey(task) })),
    remark,
  };
}

function wantedBy(search: readonly string[]): SearchFilter {
  const terms = searchTermsOf(search);
  if (terms.ok) return terms.wanted;
  throw new PerdureError("USAGE", `--search cannot be used: ${terms.message}`);
}

function remark({ tasks, total }: TaskList): string | undefined {
  const more = total - tasks.length;
  return more > 0 ? `… and ${more} more; --limit shows them` : undefined;
}

function taskListLines(list: TaskList, style: Style): readonly string[] {
  if (list.tasks.length === 0) return ["No task matches."];
  const more = remark(list);
  return [
    ...tableLines(list.tasks, columnsAt(Date.now()), style),
    ...(more === undefined ? [] : [style.paint("dim", more)]),
  ];
}

function columnsAt(now: number): readonly Column<TaskView>[] {
  return [
    { heading: "id", cell: (task) => task.taskId, givesWay: 7, widthMin: 12 },
    { heading: "type", cell: (task) => task.type, givesWay: 2, widthMin: 8 },
    { heading: "state", cell: (task) => task.state, paint: (task) => taskStatePaint[task.state] },
    { heading: "priority", cell: (task) => task.priority, paint: paintOfPriority, givesWay: 3 },
    { heading: "attempt", cell: attemptText, align: "right", givesWay: 5 },
    { heading: "agent", cell: (task) => task.agentId ?? "", givesWay: 6, widthMin: 8 },
    { heading: "age", cell: (task) => durationText(now - task.submittedAt), align: "right", givesWay: 4 },
    { heading: "reason", cell: (task) => task.reason ?? "", givesWay: 1, widthMin: 24 },
  ];
}

const paintOfPriority = ({ priority }: { readonly priority: Priority }) => priorityPaint[priority];

/** Without a maximum the attempt stands alone. A workflow's attempts are its runs. */
function attemptText({ attempt, maximumAttempts, run }: TaskView): string {
  if (run !== undefined) return String(run.attempt);
  return maximumAttempts === 0 ? String(attempt) : `${attempt}/${maximumAttempts}`;
}
