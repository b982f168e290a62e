/** Who waits for whom. Only unfinished tasks are in it as dependents; an edge goes when its dependent ends. */
import type { TaskId } from "../protocol/ids.js";

export class DependencyGraph {
  readonly #dependents = new Map<TaskId, Set<TaskId>>();
  readonly #openCount = new Map<TaskId, number>();

  /** @param openCount how many of `dependencies` have not completed yet */
  add(taskId: TaskId, dependencies: readonly TaskId[], openCount: number): void {
    for (const dependency of dependencies) {
      const dependents = this.#dependents.get(dependency);
      if (dependents === undefined) this.#dependents.set(dependency, new Set([taskId]));
      else dependents.add(taskId);
    }
    if (openCount > 0) this.#openCount.set(taskId, openCount);
  }

  /** Unfinished tasks that depend on this one. */
  dependentsOf(taskId: TaskId): ReadonlySet<TaskId> | undefined {
    return this.#dependents.get(taskId);
  }

  hasDependents(taskId: TaskId): boolean {
    return this.#dependents.has(taskId);
  }

  /** Counts one dependency of `taskId` as completed; true when it was the last. */
  completeOne(taskId: TaskId): boolean {
    const open = this.#openCount.get(taskId);
    if (open === undefined) return false;
    if (open > 1) {
      this.#openCount.set(taskId, open - 1);
      return false;
    }
    this.#openCount.delete(taskId);
    return true;
  }

  /** Takes out an ended task as a dependent; returns the dependencies that nobody depends on any more. */
  remove(taskId: TaskId, dependencies: readonly TaskId[]): TaskId[] {
    this.#openCount.delete(taskId);
    const freed: TaskId[] = [];
    for (const dependency of dependencies) {
      const dependents = this.#dependents.get(dependency);
      if (dependents?.delete(taskId) !== true || dependents.size > 0) continue;
      this.#dependents.delete(dependency);
      freed.push(dependency);
    }
    return freed;
  }
}

/**
 * A cycle among the members of a batch, as the ids along it; null if there is none. Tasks outside the batch exist
 * already and cannot depend on a member, so they are no part of any cycle.
 */
export function findCycle(batch: ReadonlyMap<TaskId, readonly TaskId[]>): readonly TaskId[] | null {
  const done = new Set<TaskId>();
  for (const start of batch.keys()) {
    if (done.has(start)) continue;
    // Depth first without recursion: a batch may be one long chain.
    const path: { readonly taskId: TaskId; readonly rest: Iterator<TaskId> }[] = [];
    const onPath = new Set<TaskId>();
    const enter = (taskId: TaskId): void => {
      onPath.add(taskId);
      path.push({ taskId, rest: (batch.get(taskId) ?? [])[Symbol.iterator]() });
    };
    enter(start);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.rest.next();
      if (next.done === true) {
        path.pop();
        onPath.delete(top.taskId);
        done.add(top.taskId);
      } else if (onPath.has(next.value)) {
        const ids = path.map((step) => step.taskId);
        return [...ids.slice(ids.indexOf(next.value)), next.value];
      } else if (batch.has(next.value) && !done.has(next.value)) {
        enter(next.value);
      }
    }
  }
  return null;
}
