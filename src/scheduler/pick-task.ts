/** Which of several tasks that could start goes first: by priority, then by age. */
import { type Priority, priorities } from "../protocol/priority.js";
import type { TaskRecord } from "../protocol/task-record.js";

/** A queued task rises by one priority level for each of these, so that no task waits for ever behind newer ones. */
export const PROMOTION_INTERVAL_MS = 30_000;

const levels: Readonly<Record<Priority, number>> = Object.fromEntries(
  priorities.map((priority, level) => [priority, level]),
) as Record<Priority, number>;

/** 0 is the most urgent. */
export function baseLevel(record: TaskRecord): number {
  return levels[record.spec.priority];
}

/** The level a task has reached by waiting until `now`. */
export function effectiveLevel(record: TaskRecord, now: number): number {
  const waitedMs = Math.max(0, now - readySince(record));
  return Math.max(0, baseLevel(record) - Math.floor(waitedMs / PROMOTION_INTERVAL_MS));
}

/** Age alone: the order among tasks of one level. Holds at any time, so it can order a heap. */
export function isOlder(a: TaskRecord, b: TaskRecord): boolean {
  const difference = readySince(a) - readySince(b);
  return difference === 0 ? a.order < b.order : difference < 0;
}

/** Whether `a` goes before `b` at `now`. */
export function goesFirst(a: TaskRecord, b: TaskRecord, now: number): boolean {
  const difference = effectiveLevel(a, now) - effectiveLevel(b, now);
  return difference === 0 ? isOlder(a, b) : difference < 0;
}

/** Since when it could start, epoch milliseconds. */
export const readySince = (record: TaskRecord): number => record.readyAt ?? record.submittedAt;
