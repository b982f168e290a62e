import { randomUUID } from "node:crypto";
import type { Connection } from "../../src/jetstream/connection.js";
import type { Namespace } from "../../src/protocol/ids.js";
import { subjectsOf } from "../../src/protocol/subjects.js";

export type Fields = Readonly<Record<string, unknown>>;

/** What one request is answered with: fields in an envelope, bytes as they are, or null for silence. */
export type Answer = Fields | string | null;

export interface Request {
  readonly messageId: string;
  readonly [field: string]: unknown;
}

type SubjectName =
  | "taskSubmit"
  | "taskGet"
  | "taskList"
  | "taskCancel"
  | "taskWait"
  | "taskExplain"
  | "systemStatus"
  | "health";

/** Request subjects answered by a test, over a real server. Nobody listens on one until it is given an answer. */
export class ScriptedEndpoints {
  readonly #connection: Connection;
  readonly #namespace: Namespace;

  constructor(connection: Connection, namespace: Namespace) {
    this.#connection = connection;
    this.#namespace = namespace;
  }

  /** Answers with one answer after the other, and with the last one from then on. Returns the requests as they come. */
  async answer(
    subject: SubjectName,
    ...answers: readonly ((request: Request) => Answer)[]
  ): Promise<readonly Request[]> {
    const requests: Request[] = [];
    this.#connection.subscribe(subjectsOf(this.#namespace)[subject], ({ data, reply }) => {
      const request: Request = JSON.parse(Buffer.from(data).toString());
      const answer = answers[Math.min(requests.length, answers.length - 1)]?.(request) ?? null;
      requests.push(request);
      if (reply === undefined || answer === null) return;
      this.#connection.publish(reply, typeof answer === "string" ? answer : envelope(answer));
    });
    await this.#connection.flush();
    return requests;
  }

  broadcast(event: Fields | string): void {
    const { systemEvent } = subjectsOf(this.#namespace);
    this.#connection.publish(systemEvent, typeof event === "string" ? event : envelope(event));
  }
}

/** A task as an orchestrator shows it. */
export function taskView(taskId: unknown, given: Fields = {}): Fields {
  return {
    task: {
      taskId,
      type: "echo",
      state: "completed",
      priority: "normal",
      attempt: 1,
      maximumAttempts: 3,
      dependencies: [],
      requiredCapabilities: ["echo"],
      submittedAt: 1,
      ...given,
    },
  };
}

function envelope(fields: Fields): string {
  return JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), ...fields });
}
