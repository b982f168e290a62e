/** What clients and agents of a run see, in the words of the checker. */

import type { TaskView as EngineView } from "../../src/protocol/task-message.js";
import type { AgentRecord, ClientRecord, Output, TaskView } from "../checker/history.js";

export class Witness {
  readonly clients: ClientRecord[] = [];
  readonly agents: AgentRecord[] = [];

  sees(record: ClientRecord): void {
    this.clients.push(record);
  }

  /** @param askedAt when the answer spoke of the task, at the latest */
  seesTask(
    taskId: string,
    view: EngineView | null,
    { askedAt, answeredAt }: { askedAt: number; answeredAt: number },
  ): void {
    this.sees({ kind: "saw", askedAt, answeredAt, taskId, view: view === null ? null : copyOf(view) });
  }

  works(
    kind: AgentRecord["kind"],
    { taskId, attempt, token }: Output,
    more: Pick<AgentRecord, "at" | "agentId" | "process"> & Partial<AgentRecord>,
  ): void {
    this.agents.push({ kind, taskId, attempt, token, ...more });
  }
}

/** As it is now: the engine's own may share parts with a record that goes on changing. */
const copyOf = (view: EngineView): TaskView => JSON.parse(JSON.stringify(view)) as TaskView;
