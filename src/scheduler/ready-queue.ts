/**
 * The tasks that could start now, in line.
 *
 * Tasks that ask for the same capabilities form one line, because the same agents can serve them; within a line each
 * priority has its own heap by age. Since all tasks of a priority are promoted at the same pace, the first of a line
 * is always among the heads of its four heaps, whatever the time. So the next task costs O(log n), never a scan.
 */
import { priorities } from "../protocol/priority.js";
import type { TaskRecord } from "../protocol/task-record.js";
import { LazyHeap } from "./lazy-heap.js";
import { baseLevel, goesFirst, isOlder, readySince } from "./pick-task.js";

/** Tasks with the same required capabilities. */
export class Line {
  readonly capabilities: readonly string[];
  #size = 0;
  readonly #byLevel = priorities.map(
    () => new LazyHeap<TaskRecord>({ before: isOlder, isAlive: (record) => record.state === "queued" }),
  );

  constructor(capabilities: readonly string[]) {
    this.capabilities = capabilities;
  }

  get size(): number {
    return this.#size;
  }

  add(record: TaskRecord): void {
    this.#heapOf(record).push(record);
    this.#size += 1;
  }

  /** For a task that is no longer queued and was not taken by `takeFirst`. */
  noteLeft(record: TaskRecord): void {
    this.#size -= 1;
    this.#heapOf(record).noteDeath();
  }

  first(now: number): TaskRecord | undefined {
    let best: TaskRecord | undefined;
    for (const heap of this.#byLevel) {
      const head = heap.peek();
      if (head !== undefined && (best === undefined || goesFirst(head, best, now))) best = head;
    }
    return best;
  }

  /** Since when its oldest task could start; null while it has none. */
  get waitingSince(): number | null {
    let since: number | null = null;
    for (const heap of this.#byLevel) {
      const head = heap.peek();
      if (head !== undefined) since = Math.min(since ?? Number.POSITIVE_INFINITY, readySince(head));
    }
    return since;
  }

  /** Takes out the task that `first` returned. */
  takeFirst(record: TaskRecord): void {
    if (this.#heapOf(record).pop() !== record)
      throw new Error(`task ${record.spec.taskId} is not the first of its line`);
    this.#size -= 1;
  }

  #heapOf(record: TaskRecord): LazyHeap<TaskRecord> {
    return this.#byLevel[baseLevel(record)] as LazyHeap<TaskRecord>;
  }
}

/** Names a set of capabilities, whatever their order. */
export function capabilityKey(capabilities: readonly string[]): string {
  if (capabilities.length <= 1) return capabilities[0] ?? "";
  // Control characters cannot be part of a capability, so this is unambiguous.
  return [...new Set(capabilities)].sort().join("\u0000");
}

export class ReadyQueue {
  readonly #lines = new Map<string, Line>();
  /** By the first of their capabilities; those that ask for none by the empty text. */
  readonly #byCapability = new Map<string, Set<Line>>();
  /** Lines that came up since they were last taken. */
  #fresh = new Set<Line>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Lines with at least one task. */
  lines(): IterableIterator<Line> {
    return this.#lines.values();
  }

  /** The line of a set of capabilities, by its `capabilityKey`; undefined while nobody stands in it. */
  line(key: string): Line | undefined {
    return this.#lines.get(key);
  }

  /** Lines that came up since the last call. */
  takeFresh(): ReadonlySet<Line> {
    const taken = this.#fresh;
    if (taken.size > 0) this.#fresh = new Set();
    return taken;
  }

  /** Lines whose tasks can be done with these capabilities. Costs nothing for all the others. */
  *servedBy(capabilities: ReadonlySet<string>): Generator<Line> {
    for (const first of ["", ...capabilities]) {
      for (const line of this.#byCapability.get(first) ?? []) {
        if (line.capabilities.every((name) => capabilities.has(name))) yield line;
      }
    }
  }

  add(record: TaskRecord): void {
    const key = capabilityKey(record.spec.requiredCapabilities);
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = new Line(record.spec.requiredCapabilities);
      this.#lines.set(key, line);
      this.#fresh.add(line);
      const sisters = this.#byCapability.get(firstOf(line));
      if (sisters === undefined) this.#byCapability.set(firstOf(line), new Set([line]));
      else sisters.add(line);
    }
    line.add(record);
    this.#size += 1;
  }

  takeFirst(line: Line, record: TaskRecord): void {
    line.takeFirst(record);
    this.#shrink(line);
  }

  noteLeft(record: TaskRecord): void {
    const line = this.#lines.get(capabilityKey(record.spec.requiredCapabilities));
    if (line === undefined) throw new Error(`task ${record.spec.taskId} left a line that does not exist`);
    line.noteLeft(record);
    this.#shrink(line);
  }

  /** An empty line is dropped, so that task types seen once leave nothing behind. */
  #shrink(line: Line): void {
    this.#size -= 1;
    if (line.size > 0) return;
    this.#lines.delete(capabilityKey(line.capabilities));
    this.#fresh.delete(line);
    const sisters = this.#byCapability.get(firstOf(line));
    sisters?.delete(line);
    if (sisters?.size === 0) this.#byCapability.delete(firstOf(line));
  }
}

const firstOf = (line: Line): string => line.capabilities[0] ?? "";
