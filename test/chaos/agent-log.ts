/**
 * What one agent process saw, a line each, written before anything else happens: the kernel has it then, and a SIGKILL of
 * the process takes nothing back.
 */
import { openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { AgentRecord } from "../checker/history.js";

const SUFFIX = ".agent.jsonl";

export class AgentLog {
  readonly #descriptor: number;
  readonly #who: Pick<AgentRecord, "agentId" | "process">;

  constructor(folder: string, agentId: string) {
    const process_ = `${agentId}-${process.pid}-${Date.now()}`;
    this.#who = { agentId, process: process_ };
    this.#descriptor = openSync(join(folder, `${process_}${SUFFIX}`), "a");
  }

  write(record: Omit<AgentRecord, "at" | "agentId" | "process">): void {
    writeSync(this.#descriptor, `${JSON.stringify({ at: Date.now(), ...this.#who, ...record })}\n`);
  }
}

/** Everything that all agents of a run wrote; a line that a kill cut short was not seen by anybody. */
export function readAgentLogs(folder: string): AgentRecord[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(SUFFIX))
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n").slice(0, -1))
    .map((line) => JSON.parse(line) as AgentRecord);
}
