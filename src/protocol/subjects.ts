import { type AgentId, ID_PATTERN, Namespace } from "./ids.js";

/** Every subject of the engine, built and parsed in one place; the namespace is always the first token. */
export interface Subjects {
  /** agent -> orchestrator */
  readonly agentRegister: string;
  /** agent -> orchestrator, all agents */
  readonly allHeartbeats: string;
  readonly allResults: string;
  readonly allStatuses: string;
  /** orchestrator -> agents, all agents */
  readonly allTasks: string;
  readonly taskSubmit: string;
  readonly taskGet: string;
  readonly taskList: string;
  readonly taskCancel: string;
  readonly taskWait: string;
  readonly taskExplain: string;
  readonly workflowSignal: string;
  readonly workflowQuery: string;
  readonly workflowUpdate: string;
  readonly workflowCancel: string;
  readonly workflowTerminate: string;
  readonly workflowReset: string;
  readonly workflowHistory: string;
  readonly systemStatus: string;
  /** orchestrator -> all */
  readonly systemEvent: string;
  /** orchestrator -> all, and request-reply */
  readonly health: string;
  /** client -> orchestrator, each of those above that is a request. */
  readonly allRequests: readonly string[];
  /** Every subject of the namespace. */
  readonly all: string;
  /** The commit log; written by the leader only. */
  readonly journal: string;
  /** orchestrator -> one agent */
  agentTask(agentId: AgentId): string;
  agentResult(agentId: AgentId): string;
  /** Both directions. */
  agentStatus(agentId: AgentId): string;
  agentHeartbeat(agentId: AgentId): string;
  /** The agent named by a subject of the form `<ns>.agent.<agentId>.<kind>`; null if that token is no id. */
  agentIdOf(subject: string): AgentId | null;
}

export function subjectsOf(namespace: Namespace): Subjects {
  const agent = `${namespace}.agent`;
  const orchestrator = `${namespace}.orchestrator`;
  const requests = {
    taskSubmit: `${orchestrator}.task.submit`,
    taskGet: `${orchestrator}.task.get`,
    taskList: `${orchestrator}.task.list`,
    taskCancel: `${orchestrator}.task.cancel`,
    taskWait: `${orchestrator}.task.wait`,
    taskExplain: `${orchestrator}.task.explain`,
    workflowSignal: `${orchestrator}.workflow.signal`,
    workflowQuery: `${orchestrator}.workflow.query`,
    workflowUpdate: `${orchestrator}.workflow.update`,
    workflowCancel: `${orchestrator}.workflow.cancel`,
    workflowTerminate: `${orchestrator}.workflow.terminate`,
    workflowReset: `${orchestrator}.workflow.reset`,
    workflowHistory: `${orchestrator}.workflow.history`,
    systemStatus: `${orchestrator}.system.status`,
    health: `${orchestrator}.health`,
  };
  return {
    agentRegister: `${agent}.register`,
    allHeartbeats: `${agent}.*.heartbeat`,
    allResults: `${agent}.*.result`,
    allStatuses: `${agent}.*.status`,
    allTasks: `${agent}.*.task`,
    ...requests,
    allRequests: Object.values(requests),
    systemEvent: `${orchestrator}.system.event`,
    all: `${namespace}.>`,
    journal: `${namespace}.journal`,
    agentTask: (agentId) => `${agent}.${agentId}.task`,
    agentResult: (agentId) => `${agent}.${agentId}.result`,
    agentStatus: (agentId) => `${agent}.${agentId}.status`,
    agentHeartbeat: (agentId) => `${agent}.${agentId}.heartbeat`,
    agentIdOf: (subject) => {
      if (!subject.startsWith(`${agent}.`)) return null;
      const token = subject.slice(agent.length + 1, subject.lastIndexOf("."));
      return ID_PATTERN.test(token) ? (token as AgentId) : null;
    },
  };
}

/** The journals of all namespaces. */
export const ALL_JOURNALS = "*.journal";

/** The namespace whose journal has this subject; null if it is none. */
export function namespaceOfJournal(subject: string): Namespace | null {
  const namespace = Namespace.safeParse(subject.split(".")[0]);
  return namespace.success && subjectsOf(namespace.data).journal === subject ? namespace.data : null;
}
