/** Work for a system: tasks that an agent runs at once, and tasks that wait for ever. */
import type { Client, NewTask } from "perdure";
import { inParallel } from "./statistics.js";

const PAYLOAD = { pad: "x".repeat(180) };
const SUBMITTERS = 64;
/** Longer than any benchmark. */
const HOLD_MS = 3_600_000;
const BATCH_TASKS = 1_000;
const BATCHES_IN_FLIGHT = 4;

/** Resolves when `count` tasks were submitted one by one, 64 at a time, and completed. Milliseconds. */
export async function runTasks(client: Client, count: number): Promise<number> {
  let ended = 0;
  let allEnded: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    allEnded = resolve;
  });
  const events = client.onEvent(({ eventType }) => {
    if (eventType !== "TASK_COMPLETED") return;
    ended += 1;
    if (ended === count) allEnded();
  });
  const startedAt = performance.now();
  await inParallel(count, SUBMITTERS, () => client.submit({ type: "echo", input: PAYLOAD }));
  await done;
  const elapsedMs = performance.now() - startedAt;
  events.unsubscribe();
  return elapsedMs;
}

/** From submission to result of each of `count` tasks, one after another. Milliseconds. */
export async function latencies(client: Client, count: number): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const sentAt = performance.now();
    const task = await client.submit({ type: "echo", input: PAYLOAD });
    await task.result();
    samples.push(performance.now() - sentAt);
  }
  return samples;
}

/** Adds tasks that an agent runs until everything ends. */
export async function addHeld(client: Client, count: number): Promise<void> {
  await submitAll(client, count, (index) => ({ taskId: `held-${index}`, type: "hold", input: HOLD_MS }));
}

/**
 * Adds tasks that wait: one half for an agent that is not there, the other each for one of the first half.
 * @param from number of the first one; even, as is `count`
 */
export async function addWaiting(client: Client, from: number, count: number): Promise<void> {
  await submitAll(client, count, (index) => waitingTask(from + index));
}

async function submitAll(client: Client, count: number, taskOf: (index: number) => NewTask): Promise<void> {
  await inParallel(Math.ceil(count / BATCH_TASKS), BATCHES_IN_FLIGHT, async (batch) => {
    const first = batch * BATCH_TASKS;
    const size = Math.min(BATCH_TASKS, count - first);
    await client.submitAll(Array.from({ length: size }, (_, index) => taskOf(first + index)));
  });
}

function waitingTask(index: number): NewTask {
  const task = { taskId: `wait-${index}`, type: "absent", input: PAYLOAD };
  return index % 2 === 0 ? task : { ...task, dependencies: [`wait-${index - 1}`] };
}
