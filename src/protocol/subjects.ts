import { type AgentId, ID_PATTERN, type Namespace } from "./ids.js";

/** Every subject of the engine, built and parsed in one place; the namespace is always the first token. */
export interface Subjects {
  /** agent -> orchestrator */
  readonly agentRegister: string;
  /** agent -> orchestrator, all agents */
  readonly allHeartbeats: string;
  readonly allResults: string;
  readonly allStatuses: string;
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
  readonly workflowHistory: string;
  readonly systemStatus: string;
  /** orchestrator -> all */
  readonly systemEvent: string;
  /** orchestrator -> all, and request-reply */
  readonly health: string;
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
  return {
    agentRegister: `${agent}.register`,
    allHeartbeats: `${agent}.*.heartbeat`,
    allResults: `${agent}.*.result`,
    allStatuses: `${agent}.*.status`,
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
    workflowHistory: `${orchestrator}.workflow.history`,
    systemStatus: `${orchestrator}.system.status`,
    systemEvent: `${orchestrator}.system.event`,
    health: `${orchestrator}.health`,
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
