/** What clients and agents of a run see, in the words of the checker. */
import type { AgentRecord, ClientRecord, TaskView } from "../checker/history.js";
import type { TaskAssignment } from "../../src/protocol/agent-message.js";
import type { TaskView as EngineView } from "../../src/protocol/task-message.js";

export class Witness {
  readonly clients: ClientRecord[] = [];
  readonly agents: AgentRecord[] = [];

  sees(record: ClientRecord): void {
    this.clients.push(record);
  }

  /** @param askedAt when the answer spoke of the task, at the latest */
  seesTask(taskId: string, view: EngineView | null, { askedAt, answeredAt }: { askedAt: number; answeredAt: number }): void {
    this.sees({ kind: "saw", askedAt, answeredAt, taskId, view: view === null ? null : copyOf(view) });
  }

  works(
    kind: AgentRecord["kind"],
    { taskId, attempt, token }: Pick<TaskAssignment, "taskId" | "attempt" | "token">,
    more: Pick<AgentRecord, "at" | "agentId" | "process"> & Partial<AgentRecord>,
  ): void {
    this.agents.push({ kind, taskId, attempt, token, ...more });
  }
}

/** As it is now: the engine's own may share parts with a record that goes on changing. */
const copyOf = (view: EngineView): TaskView => JSON.parse(JSON.stringify(view)) as TaskView;
