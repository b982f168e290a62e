/** Holds the end of an audit against what was submitted: nothing lost, nothing done twice. */
import type { Client, TaskView } from "perdure";

export interface EndCheck {
  readonly client: Pick<Client, "get">;
  readonly taskIds: readonly string[];
  /** By the orchestrator's count, of which every end since its start is part. */
  readonly endsCounted: number;
  /** Tasks of which more than one end was announced. */
  readonly announcedTwice: readonly string[];
}

export interface Ends {
  /** What is wrong, each as a sentence; empty if every task completed exactly once. */
  readonly faults: readonly string[];
  readonly tasks: readonly TaskView[];
}

/** Questions under way at a time. */
const askedAtOnce = 64;
const namedMax = 3;

/** Asks for every task by name. */
export async function checkEndedOnce({ client, taskIds, endsCounted, announcedTwice }: EndCheck): Promise<Ends> {
  const tasks = await askForAll(client, taskIds);
  const incomplete = tasks.filter(({ state }) => state !== "completed");
  const faults = [
    ...(incomplete.length === 0
      ? []
      : [`${incomplete.length} tasks did not complete (${named(incomplete.map(({ taskId }) => taskId))})`]),
    ...(announcedTwice.length === 0
      ? []
      : [`${announcedTwice.length} tasks ended more than once (${named(announcedTwice)})`]),
    ...(endsCounted === taskIds.length
      ? []
      : [`the orchestrator counts ${endsCounted} ends of ${taskIds.length} tasks`]),
  ];
  return { faults, tasks };
}

async function askForAll(client: EndCheck["client"], taskIds: readonly string[]): Promise<readonly TaskView[]> {
  const views: TaskView[] = [];
  const waiting = taskIds.values();
  const asker = async (): Promise<void> => {
    for (const taskId of waiting) views.push(await client.get(taskId));
  };
  await Promise.all(Array.from({ length: askedAtOnce }, asker));
  return views;
}

function named(taskIds: readonly string[]): string {
  const first = taskIds.slice(0, namedMax).join(", ");
  return taskIds.length > namedMax ? `${first}, …` : first;
}
