import { expect, it } from "vitest";
import type { AnyStateMachine } from "xstate";
import { agentMachine } from "../../src/machines/agent.machine.js";
import { orchestratorMachine } from "../../src/machines/orchestrator.machine.js";
import { taskMachine } from "../../src/machines/task.machine.js";
import { workflowRunMachine } from "../../src/machines/workflow-run.machine.js";
import { drawMachine } from "./machine-diagram.js";

const machines: readonly (readonly [name: string, title: string, machine: AnyStateMachine])[] = [
  ["task", "The life of a task", taskMachine],
  ["agent", "The life of an agent", agentMachine],
  ["workflow-run", "The life of a run of a workflow", workflowRunMachine],
  ["orchestrator", "The life of an orchestrator process", orchestratorMachine],
];

/** `npm run generate` runs this file with --update, which writes them. */
it.each(machines)("has a diagram of the %s machine as it is now", async (name, title, machine) => {
  const drawing = drawMachine(machine, { title, source: `src/machines/${name}.machine.ts` });
  await expect(drawing).toMatchFileSnapshot(`../../docs/machines/${name}.md`);
});
