/** A history, told by task: everything that anybody saw of one of them. */
import {
  type AgentRecord,
  type ClientRecord,
  endedStates,
  type History,
  type PlannedTask,
  type TaskView,
} from "./history.js";

type Saw = Extract<ClientRecord, { kind: "saw" }>;
type Heard = Extract<ClientRecord, { kind: "heard" }>;

export interface Story {
  readonly taskId: string;
  /** null where it was named only in submissions that had to be refused. */
  readonly plan: PlannedTask | null;
  /** When a client first knew that it was accepted; null if none ever did. */
  readonly acceptedAt: number | null;
  readonly askedFirstAt: number;
  readonly cancelled: boolean;
  readonly looks: readonly Saw[];
  /** The first view of its end that anybody had. */
  readonly end: TaskView | null;
  readonly events: readonly Heard[];
  readonly begun: readonly AgentRecord[];
  readonly finished: readonly AgentRecord[];
  /** Tokens of attempts that do not count, for their agents handed them back. */
  readonly released: ReadonlySet<string>;
}

export function storiesOf(history: History): Map<string, Story> {
  const drafts = new Map<string, Draft>();
  const draft = (taskId: string): Draft => {
    const known = drafts.get(taskId) ?? emptyDraft(taskId);
    drafts.set(taskId, known);
    return known;
  };
  for (const record of history.clients) addClientRecord(record, draft);
  for (const record of history.agents) {
    const { begun, finished, released } = draft(record.taskId);
    if (record.kind === "began") begun.push(record);
    if (record.kind === "finished") finished.push(record);
    if (record.kind === "released") released.add(record.token);
  }
  for (const story of drafts.values()) {
    const first = story.looks.filter(({ view }) => isEnd(view)).sort((a, b) => a.answeredAt - b.answeredAt)[0];
    story.end = first?.view ?? null;
  }
  return drafts;
}

export const isEnd = (view: TaskView | null): boolean => view !== null && endedStates.has(view.state);

interface Draft extends Story {
  plan: PlannedTask | null;
  acceptedAt: number | null;
  askedFirstAt: number;
  cancelled: boolean;
  end: TaskView | null;
  readonly looks: Saw[];
  readonly events: Heard[];
  readonly begun: AgentRecord[];
  readonly finished: AgentRecord[];
  readonly released: Set<string>;
}

function emptyDraft(taskId: string): Draft {
  return {
    taskId,
    plan: null,
    acceptedAt: null,
    askedFirstAt: Number.POSITIVE_INFINITY,
    cancelled: false,
    end: null,
    looks: [],
    events: [],
    begun: [],
    finished: [],
    released: new Set(),
  };
}

function addClientRecord(record: ClientRecord, draft: (taskId: string) => Draft): void {
  switch (record.kind) {
    case "submitted":
      for (const task of record.tasks) {
        const story = draft(task.taskId);
        if (record.expected !== "accepted") continue;
        story.plan = task;
        story.askedFirstAt = Math.min(story.askedFirstAt, record.askedAt);
        if (record.answer === "accepted" && story.acceptedAt === null) story.acceptedAt = record.answeredAt;
      }
      return;
    case "cancelled":
      draft(record.taskId).cancelled = true;
      return;
    case "saw":
      draft(record.taskId).looks.push(record);
      return;
    case "heard":
      if (record.payload.taskId !== undefined) draft(record.payload.taskId).events.push(record);
      return;
    case "fault":
      return;
  }
}
