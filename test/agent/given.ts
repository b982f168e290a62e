import { onTestFinished } from "vitest";
import { type Agent, agent } from "../../src/agent/agent.js";
import type { AgentOptions } from "../../src/agent/agent-options.js";
import type { TaskContext, TaskHandler } from "../../src/agent/task-handler.js";
import { silentLogger } from "../../src/logger.js";
import { newNamespace, type TestNats } from "../support/nats.js";
import { ScriptedOrchestrator } from "./scripted-orchestrator.js";

export interface Scene {
  readonly namespace: string;
  readonly orchestrator: ScriptedOrchestrator;
  /** An agent with a connection of its own, stopped after the test. */
  agent(id: string, options?: Partial<AgentOptions>): Agent;
}

/** An orchestrator that is scripted, in a namespace of its own, with the results stream in place. */
export async function givenScene(nats: TestNats, results: "provisioned" | "absent" = "provisioned"): Promise<Scene> {
  const namespace = newNamespace();
  const orchestrator = new ScriptedOrchestrator(await nats.connect(), namespace);
  if (results === "provisioned") await orchestrator.provision();
  return {
    namespace,
    orchestrator,
    agent: (id, options = {}) => {
      const made = agent(id, {
        servers: nats.url,
        namespace,
        logger: silentLogger,
        tasks: { echo: (_, input) => input },
        ...options,
      });
      onTestFinished(() => made.stop());
      return made;
    },
  };
}

/** A handler that runs until the test says how it ends, and what it was started with. */
export class HeldTask {
  readonly contexts: TaskContext[] = [];
  readonly #ends: { resolve: (output: unknown) => void; reject: (error: unknown) => void }[] = [];

  /** Runs until released; an abort is thrown unless `onAbort` says to go on. */
  handler(onAbort: "throw" | "goOn" = "throw"): TaskHandler {
    return (context) =>
      new Promise((resolve, reject) => {
        this.contexts.push(context);
        this.#ends.push({ resolve, reject });
        if (onAbort === "throw") context.signal.addEventListener("abort", () => reject(context.signal.reason));
      });
  }

  get started(): number {
    return this.contexts.length;
  }

  returnAll(output: unknown): void {
    for (const { resolve } of this.#ends) resolve(output);
  }
}
