/** A client written by hand from docs/wire-protocol.md. It asks once; asking again is for whoever calls. */
import { randomUUID } from "node:crypto";
import type { Status, TaskView } from "../checker/history.js";
import type { PlannedSubmission } from "../checker/workload.js";
import { RawConnection } from "./raw-connection.js";

/** What came of one request: an answer, a refusal by its code, or nothing. */
export type Asked<T> =
  | { readonly kind: "answered"; readonly value: T }
  | { readonly kind: "refused"; readonly code: string }
  | { readonly kind: "unanswered" };

export interface ChaosClient {
  readonly submit: (submission: PlannedSubmission) => Promise<Asked<readonly string[]>>;
  readonly cancel: (taskId: string) => Promise<Asked<TaskView>>;
  readonly get: (taskId: string) => Promise<Asked<TaskView>>;
  /** Answers after `timeoutMs` at the latest, with the state as it is. */
  readonly wait: (taskId: string, timeoutMs: number) => Promise<Asked<TaskView>>;
  readonly close: () => Promise<void>;
}

const ANSWER_MS = 3_000;

export class RawClient implements ChaosClient {
  readonly #connection: RawConnection;
  readonly #namespace: string;

  constructor(port: number, namespace: string) {
    this.#connection = new RawConnection(port);
    this.#namespace = namespace;
  }

  onEvent(listen: (event: { eventType: string; payload?: object }) => void): void {
    this.#connection.subscribe(`${this.#namespace}.orchestrator.system.event`, ({ data }) =>
      listen(JSON.parse(data.toString()) as { eventType: string }),
    );
  }

  async submit({ messageId, form, tasks, preferredAgentId }: PlannedSubmission): Promise<Asked<readonly string[]>> {
    const asked = await this.#ask<{ taskId?: string; taskIds?: string[] }>("task.submit", ANSWER_MS, {
      messageId,
      ...(form === "single" ? { task: tasks[0] } : { tasks }),
      ...(preferredAgentId === undefined ? {} : { preferredAgentId }),
    });
    if (asked.kind !== "answered") return asked;
    const { taskId, taskIds } = asked.value;
    return { kind: "answered", value: taskIds ?? (taskId === undefined ? [] : [taskId]) };
  }

  cancel(taskId: string): Promise<Asked<TaskView>> {
    return this.#askTask("task.cancel", ANSWER_MS, { taskId });
  }

  get(taskId: string): Promise<Asked<TaskView>> {
    return this.#askTask("task.get", ANSWER_MS, { taskId });
  }

  wait(taskId: string, timeoutMs: number): Promise<Asked<TaskView>> {
    return this.#askTask("task.wait", timeoutMs + ANSWER_MS, { taskId, timeoutMs });
  }

  status(): Promise<Asked<Status>> {
    return this.#ask("system.status", ANSWER_MS, {});
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async #askTask(endpoint: string, timeoutMs: number, fields: object): Promise<Asked<TaskView>> {
    const asked = await this.#ask<{ task: TaskView }>(endpoint, timeoutMs, fields);
    return asked.kind === "answered" ? { kind: "answered", value: asked.value.task } : asked;
  }

  async #ask<T>(endpoint: string, timeoutMs: number, fields: object): Promise<Asked<T>> {
    const body = JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), ...fields });
    const reply = await this.#connection.request(`${this.#namespace}.orchestrator.${endpoint}`, body, timeoutMs);
    if (reply.kind === "unanswered") return reply;
    const answer = JSON.parse(reply.message.data.toString()) as T & { error?: { code: string } };
    return answer.error === undefined
      ? { kind: "answered", value: answer }
      : { kind: "refused", code: answer.error.code };
  }
}
