/** What the process of an agent is told on its command line, as JSON. */
export interface AgentProcessOptions {
  readonly port: number;
  readonly namespace: string;
  readonly agentId: string;
  readonly types: readonly string[];
  readonly places: number;
  readonly logFolder: string;
}

export function agentProcessOptions(): AgentProcessOptions {
  return JSON.parse(process.argv[2] ?? "") as AgentProcessOptions;
}
