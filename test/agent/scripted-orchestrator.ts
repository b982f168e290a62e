import { randomUUID } from "node:crypto";
import type { Connection, Message } from "../../src/jetstream/connection.js";
import { provision } from "../../src/jetstream/provision.js";
import {
  AgentRegistrationMessage,
  AgentReportMessage,
  AgentStatusMessage,
  agentReportStates,
  HeartbeatMessage,
  TaskResultMessage,
} from "../../src/protocol/agent-message.js";
import { decodeMessage } from "../../src/protocol/decode.js";
import type { AgentId, Namespace } from "../../src/protocol/ids.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { untilSome } from "../support/until.js";

type Registration = AgentRegistrationMessage["registration"];
type Report = AgentReportMessage["status"];
type Result = TaskResultMessage["result"];
export type Fields = Readonly<Record<string, unknown>>;

/** What a registration or a heartbeat is answered with; null for silence. */
export type Answer = Fields | null;

/**
 * The orchestrator's side of the wire, played by a test: it answers as told, keeps what agents say, and decides
 * nothing. It speaks over a real server, with the results stream as the engine makes it.
 */
export class ScriptedOrchestrator {
  readonly registrations: Registration[] = [];
  readonly heartbeats: HeartbeatMessage[] = [];
  readonly reports: Report[] = [];
  readonly results: Result[] = [];
  heartbeatIntervalMs = 10_000;
  incarnation = 1;
  answerRegistration: (registration: Registration) => Answer = ({ agentId }) => ({ status: this.registered(agentId) });
  answerHeartbeat: (heartbeat: HeartbeatMessage) => Answer = ({ agentId }) => ({ status: this.registered(agentId) });
  readonly #connection: Connection;
  readonly #namespace: Namespace;

  constructor(connection: Connection, namespace: Namespace) {
    this.#connection = connection;
    this.#namespace = namespace;
    const subjects = subjectsOf(namespace);
    connection.subscribe(subjects.agentRegister, (message) => {
      const { registration } = read(AgentRegistrationMessage, message);
      this.registrations.push(registration);
      this.#reply(message, this.answerRegistration(registration));
    });
    connection.subscribe(subjects.allHeartbeats, (message) => {
      const heartbeat = read(HeartbeatMessage, message);
      this.heartbeats.push(heartbeat);
      this.#reply(message, this.answerHeartbeat(heartbeat));
    });
    connection.subscribe(subjects.allStatuses, (message) => {
      const status = decodeMessage(AgentStatusMessage, message.data);
      if (!status.ok || !agentReportStates.has(status.value.status.state)) return;
      this.reports.push(read(AgentReportMessage, message).status);
    });
    connection.subscribe(subjects.allResults, (message) => {
      this.results.push(read(TaskResultMessage, message).result);
    });
  }

  /** Makes the results stream; until then results are not acknowledged. */
  async provision(): Promise<this> {
    await provision(this.#connection, topologyOf(this.#namespace), { replicas: 1, serverSync: "unknown" });
    return this;
  }

  registered(agentId: string): Fields {
    return {
      agentId,
      state: "registered",
      incarnation: this.incarnation,
      heartbeatIntervalMs: this.heartbeatIntervalMs,
    };
  }

  /** Sends an assignment; returns it, so that a test can send it again. */
  assign(agentId: string, given: Fields = {}): { readonly taskId: string; readonly token: string } {
    const task = {
      taskId: `t-${randomUUID()}`,
      type: "echo",
      attempt: 1,
      token: randomUUID(),
      priority: "normal",
      dependencyResults: {},
      metadata: {},
      ...given,
    };
    this.send(agentId, { task });
    return task;
  }

  /** Sends whatever is given on the agent's task subject. */
  send(agentId: string, fields: Fields, headers: Readonly<Record<string, string>> = {}): void {
    const { agentTask } = subjectsOf(this.#namespace);
    this.#connection.publish(agentTask(agentId as AgentId), envelope(fields), { headers });
  }

  sendBytes(kind: "task" | "status", agentId: string, bytes: string | Uint8Array): void {
    const { agentTask, agentStatus } = subjectsOf(this.#namespace);
    const subject = kind === "task" ? agentTask(agentId as AgentId) : agentStatus(agentId as AgentId);
    this.#connection.publish(subject, bytes);
  }

  order(agentId: string, status: Fields): void {
    this.sendBytes("status", agentId, envelope({ status: { agentId, ...status } }));
  }

  resultOf(taskId: string): Promise<Result> {
    return untilSome(`task ${taskId} has a result`, () => this.results.find((result) => result.taskId === taskId));
  }

  reportOf(state: string, taskId?: string): Promise<Report> {
    return untilSome(`a report "${state}" arrives`, () =>
      this.reports.find((report) => report.state === state && (taskId === undefined || report.taskId === taskId)),
    );
  }

  #reply(message: Message, answer: Answer): void {
    if (message.reply !== undefined && answer !== null) this.#connection.publish(message.reply, envelope(answer));
  }
}

function envelope(fields: Fields): string {
  return JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), ...fields });
}

function read<S extends Parameters<typeof decodeMessage>[0]>(schema: S, message: Message) {
  const parsed = decodeMessage(schema, message.data);
  if (!parsed.ok) throw new Error(`an agent sent what the protocol does not have: ${parsed.failure.message}`);
  return parsed.value;
}
