/**
 * The pure core alone: what a machine's step costs, and what the life of a task costs while many others wait.
 * Processor time of this process, so that other load on the machine counts less.
 *
 * node dist/bench/core.js
 */
import { type AnyMachineSnapshot, transition } from "xstate";
import { Core } from "../src/core/core.js";
import { Ledger } from "../src/core/ledger.js";
import { stepTask } from "../src/machines/step.js";
import { taskMachine } from "../src/machines/task.machine.js";
import type { AgentId, TaskId } from "../src/protocol/ids.js";
import { completeRetryPolicy } from "../src/protocol/retry-policy.js";
import { newTaskRecord, type TaskSpec } from "../src/protocol/task-record.js";

/** Processor microseconds of one call, after a warm-up. */
function cost(count: number, work: (index: number) => void): number {
  for (let index = 0; index < count / 4; index += 1) work(index);
  const before = process.cpuUsage();
  for (let index = 0; index < count; index += 1) work(index);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

const agentId = "agent-1" as AgentId;
const specOf = (index: number): TaskSpec => ({
  taskId: `task-${index}` as TaskId,
  type: "echo",
  input: { index },
  priority: "normal",
  dependencies: [],
  requiredCapabilities: ["echo"],
  retry: completeRetryPolicy(undefined) as TaskSpec["retry"],
});

function steps(): void {
  const record = newTaskRecord(specOf(0), "queued", 1, 1);
  const event = { type: "Assigned", at: 5, agentId, incarnation: 1, token: "token", answerBy: 10 } as const;
  const ours = cost(200_000, () => {
    stepTask(record, event);
  });
  const snapshot = { ...taskMachine.resolveState({ value: "queued", context: record }), context: record };
  const theirs = cost(50_000, () => {
    transition(taskMachine, snapshot as AnyMachineSnapshot as typeof snapshot, event);
  });
  console.log(
    `a step by flat-machine.ts ${ours.toFixed(2)} us, by xstate's transition ${theirs.toFixed(2)} us: ${(theirs / ours).toFixed(1)} x`,
  );
}

/** What one life costs (submit, assign, complete) while `waiting` other tasks wait for an agent that never comes. */
function livesBeside(waiting: number): number {
  const core = new Core({
    ledger: new Ledger(),
    settings: {
      maxConcurrentTasks: 0,
      maxQueuedTasks: 10_000_000,
      heartbeatIntervalMs: 1_000,
      unhealthyThresholdMs: 3_000,
      lostThresholdMs: 6_000,
    },
    chance: { newToken: () => "token", random: () => 0.5 },
    monotonicNow: 0,
    onDecision: () => undefined,
  });
  const submit = (index: number, type: string): void => {
    const tasks = [{ taskId: `${type}-${index}` as TaskId, type, input: { index } }];
    core.submit(
      { messageId: "00000000-0000-0000-0000-000000000000", tasks, form: "single", bytes: 100, ended: new Map() },
      1,
    );
  };
  for (let index = 0; index < waiting; index += 1) submit(index, "nobody");
  core.register({ agentId, capabilities: ["echo"], maxConcurrentTasks: 10 }, { at: 1, monotonicAt: 1 });
  return cost(20_000, (index) => {
    const taskId = `echo-${index}` as TaskId;
    submit(index, "echo");
    core.place(1);
    core.result(
      agentId,
      { taskId, attempt: 1, token: "token", agentId, status: "completed", output: 1 },
      { at: 2, monotonicAt: 2 },
    );
    core.ledger.forgetTask(taskId);
  });
}

steps();
livesBeside(0); // Warms the code up.
const base = livesBeside(0);
console.log(`a life with nothing else waiting ${base.toFixed(1)} us`);
for (const waiting of [1_000, 10_000, 100_000, 1_000_000]) {
  const life = livesBeside(waiting);
  console.log(
    `a life with ${waiting.toLocaleString("en")} tasks waiting ${life.toFixed(1)} us: ${(life / base).toFixed(2)} x`,
  );
}
