/** What the clients of a run will ask for, made up from a seed before the run begins. */

import { SeededRandom } from "../support/seeded-random.js";
import type { ClientRecord, PlannedTask, WorkOrder } from "./history.js";

type Submitted = Extract<ClientRecord, { kind: "submitted" }>;

export interface PlannedSubmission {
  readonly messageId: string;
  readonly form: "single" | "batch";
  readonly tasks: readonly PlannedTask[];
  readonly preferredAgentId?: string;
  readonly expected: Submitted["expected"];
  /** Tasks of earlier submissions that must have been accepted before this one is sent. */
  readonly after: readonly string[];
  /** When to ask once more with the same message, counted from its answer. */
  readonly repeatAfterMs: readonly number[];
  readonly cancellations: readonly { readonly taskId: string; readonly afterMs: number }[];
}

export interface WorkloadOptions {
  readonly seed: number;
  /** How many tasks are to be accepted. */
  readonly tasks: number;
  readonly types: readonly string[];
  readonly agentIds: readonly string[];
}

type Shape = "single" | "bag" | "chain" | "layers" | "join" | "offspring" | "refused";

/** Singles and small bags are most of what an engine is asked for; the rest is there to tangle them. */
const shapes: readonly Shape[] = [
  ...Array.from({ length: 10 }, (): Shape => "single"),
  ...Array.from({ length: 3 }, (): Shape => "offspring"),
  ...Array.from({ length: 2 }, (): Shape => "bag"),
  ...(["chain", "layers", "join", "refused"] as const),
];

const priorities = ["critical", "high", "normal", "low"] as const;

export function planWorkload(options: WorkloadOptions): PlannedSubmission[] {
  return new Planner(options).plan();
}

class Planner {
  readonly #options: WorkloadOptions;
  readonly #random: SeededRandom;
  readonly #submissions: PlannedSubmission[] = [];
  readonly #tasks: PlannedTask[] = [];
  #refusals = 0;
  #cancellations: { taskId: string; afterMs: number }[] = [];

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  plan(): PlannedSubmission[] {
    while (this.#tasks.length < this.#options.tasks) this.#planOne(this.#random.pick(shapes));
    return this.#submissions;
  }

  #planOne(shape: Shape): void {
    const random = this.#random;
    const left = this.#options.tasks - this.#tasks.length;
    const upTo = (most: number): number => Math.min(left, random.between(2, most));
    switch (shape) {
      case "single":
        this.#accepted("single", [this.#task([])]);
        return;
      case "offspring":
        this.#accepted("single", [this.#task(this.#earlier(random.between(1, 4)))]);
        return;
      case "bag":
        this.#accepted(
          "batch",
          Array.from({ length: upTo(40) }, () => this.#task([])),
        );
        return;
      case "chain": {
        const chain: PlannedTask[] = [];
        for (let length = upTo(12); length > 0; length -= 1) chain.push(this.#task(idsOf(chain.slice(-1))));
        this.#accepted("batch", random.shuffled(chain));
        return;
      }
      case "layers": {
        const members: PlannedTask[] = [];
        for (let size = upTo(30); size > 0; size -= 1) {
          const inside = idsOf(members.filter(() => random.happens(2 / (members.length + 1))));
          members.push(this.#task([...new Set([...inside, ...this.#earlier(random.happens(0.1) ? 1 : 0)])]));
        }
        this.#accepted("batch", random.shuffled(members));
        return;
      }
      case "join": {
        const parts = Array.from({ length: upTo(50) - 1 }, () => this.#task([], "echo"));
        this.#accepted("batch", [...parts, this.#task(idsOf(parts))]);
        return;
      }
      case "refused":
        this.#refused(random.pick(["ID_CONFLICT", "DEPENDENCY_CYCLE", "DEPENDENCY_UNKNOWN"]));
        return;
    }
  }

  #accepted(form: "single" | "batch", tasks: readonly PlannedTask[]): void {
    this.#tasks.push(...tasks);
    this.#submit({ form, tasks, expected: "accepted" });
  }

  /** A batch of which one member is impossible: nothing of it may ever exist. */
  #refused(expected: Exclude<Submitted["expected"], "accepted">): void {
    this.#refusals += 1;
    const [first, second] = [`refused-${this.#refusals}-a`, `refused-${this.#refusals}-b`];
    const harmless: PlannedTask = { ...this.#task([], "echo"), taskId: first };
    const victim = this.#tasks.length === 0 ? undefined : this.#random.pick(this.#tasks);
    if (expected === "ID_CONFLICT" && victim !== undefined) {
      const other: PlannedTask = { ...victim, dependencies: [], input: { ...victim.input, ms: victim.input.ms + 1 } };
      this.#submit({ form: "batch", tasks: [harmless, other], expected, after: [victim.taskId] });
    } else if (expected === "DEPENDENCY_CYCLE") {
      const circle: PlannedTask = { ...this.#task([first], "echo"), taskId: second };
      this.#submit({ form: "batch", tasks: [{ ...harmless, dependencies: [second] }, circle], expected });
    } else {
      const orphan: PlannedTask = { ...this.#task(["of-nobody"], "echo"), taskId: second };
      this.#submit({ form: "batch", tasks: [harmless, orphan], expected: "DEPENDENCY_UNKNOWN" });
    }
  }

  #submit({
    form,
    tasks,
    expected,
    after = [],
  }: Pick<PlannedSubmission, "form" | "tasks" | "expected"> & Partial<Pick<PlannedSubmission, "after">>): void {
    const random = this.#random;
    const own = new Set(idsOf(tasks));
    const outside =
      expected === "accepted" ? tasks.flatMap(({ dependencies }) => dependencies.filter((id) => !own.has(id))) : [];
    this.#submissions.push({
      messageId: this.#uuid(),
      form,
      tasks,
      expected,
      after: [...new Set([...after, ...outside])],
      repeatAfterMs: random.happens(0.1) ? [random.between(0, 200), random.between(1_000, 10_000)] : [],
      cancellations: this.#cancellations,
      ...(random.happens(0.1) ? { preferredAgentId: random.pick(this.#options.agentIds) } : {}),
    });
    this.#cancellations = [];
  }

  /** Mostly young ones, which are in memory, and some that ended long ago, which are not. */
  #earlier(count: number): string[] {
    const known = this.#tasks.length;
    if (known === 0) return [];
    const random = this.#random;
    const ids = Array.from({ length: count }, () => {
      const back = random.happens(0.8) ? Math.min(known, 200) : known;
      return (this.#tasks[known - random.between(1, back)] as PlannedTask).taskId;
    });
    return [...new Set(ids)];
  }

  #task(dependencies: readonly string[], only?: WorkOrder["do"]): PlannedTask {
    const random = this.#random;
    const taskId = `t-${this.#nextId()}`;
    const kind = only ?? this.#kind();
    const base = {
      taskId,
      type: random.pick(this.#options.types),
      priority: random.pick(priorities),
      dependencies,
    };
    const retry = {
      maximumAttempts: random.pick([0, 1, 2, 3, 3, 5, 10]),
      initialIntervalMs: random.pick([10, 50, 200]),
    };
    const bounded = { ...retry, maximumAttempts: random.between(1, 3) };
    switch (kind) {
      case "echo": {
        if (only === undefined && random.happens(0.03)) this.#cancel(taskId, random.between(0, 300));
        const ms = random.happens(0.6) ? 0 : random.happens(0.9) ? random.between(1, 40) : random.between(100, 600);
        const ballast = random.happens(0.02) ? { ballast: "x".repeat(random.between(1_000, 20_000)) } : {};
        return {
          ...base,
          input: { do: kind, ms, failures: 0, ...ballast },
          retry,
          ...(random.happens(0.1) ? { timeoutMs: random.between(2_000, 20_000) } : {}),
          ...(random.happens(0.05) ? { scheduleToCloseMs: random.between(10_000, 60_000) } : {}),
        };
      }
      case "flaky": {
        const failures = random.between(1, 3);
        const maximumAttempts = random.pick([0, failures, failures + 1, failures + 3]);
        return { ...base, input: { do: kind, ms: 1, failures }, retry: { ...retry, maximumAttempts } };
      }
      case "broken":
      case "fatal":
        return { ...base, input: { do: kind, ms: 1, failures: 1_000_000 }, retry: bounded };
      case "hang":
      case "stubborn": {
        const input = { do: kind, ms: kind === "hang" ? 0 : random.between(300, 2_500), failures: 0 };
        const end = random.pick(["cancel", "timeout", "close"] as const);
        if (end === "cancel") this.#cancel(taskId, random.between(0, 3_000));
        if (end === "timeout") return { ...base, input, retry: bounded, timeoutMs: random.between(100, 1_500) };
        if (end === "close") return { ...base, input, retry: bounded, scheduleToCloseMs: random.between(500, 4_000) };
        return { ...base, input, retry: bounded };
      }
    }
  }

  #kind(): WorkOrder["do"] {
    const chance = this.#random.next();
    if (chance < 0.74) return "echo";
    if (chance < 0.86) return "flaky";
    if (chance < 0.9) return "broken";
    if (chance < 0.93) return "fatal";
    return chance < 0.96 ? "hang" : "stubborn";
  }

  #cancel(taskId: string, afterMs: number): void {
    this.#cancellations.push({ taskId, afterMs });
  }

  #ids = 0;
  #nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  #uuid(): string {
    const hex = Array.from({ length: 32 }, () => this.#random.between(0, 15).toString(16)).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}

const idsOf = (tasks: readonly PlannedTask[]): string[] => tasks.map(({ taskId }) => taskId);
