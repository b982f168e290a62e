/** One seeded run: clients, agents, leaders and a store, first with everything going wrong, then in peace. */
import type { AgentOrder, TaskAssignment } from "../../src/protocol/agent-message.js";
import type { AgentId, TaskId } from "../../src/protocol/ids.js";
import { priorities } from "../../src/protocol/priority.js";
import type { TaskSubmission, TaskView } from "../../src/protocol/task-message.js";
import { agentId, taskId } from "../support/given.js";
import { AgentProcess } from "./agent-process.js";
import { Checker } from "./checker.js";
import { Leader, type Store, type Surroundings } from "./leader.js";
import { World } from "./world.js";

const TASKS = 24;
const AGENTS = 5;
const TROUBLE_MS = 60_000;
/** Long enough for every retry, loss and time-out that trouble left behind. */
const PEACE_MS = 600_000;

export interface Outcome {
  readonly breaches: readonly string[];
  /** How often each kind of trouble struck, so that a run without any can be told. */
  readonly troubles: Readonly<Record<string, number>>;
  readonly endedStates: Readonly<Record<string, number>>;
}

export function simulate(seed: number): Outcome {
  return new Simulation(seed).run();
}

class Simulation implements Surroundings {
  readonly #world: World;
  readonly #store: Store = { epoch: 0, flushes: [], results: [], endedTasks: new Map() };
  readonly #checker = new Checker();
  readonly #processes = new Map<AgentId, AgentProcess[]>();
  readonly #troubles: Record<string, number> = {};
  readonly #endedStates: Record<string, number> = {};
  #leader: Leader | null = null;
  #instances = 0;
  #submitted = 0;
  #answered = 0;

  constructor(seed: number) {
    this.#world = new World(seed);
  }

  run(): Outcome {
    const world = this.#world;
    this.#lead();
    for (let index = 0; index < AGENTS; index += 1) this.#startProcess(agentId(`k-${index}`));
    this.#standBy();
    this.#submitInTime();
    this.#trouble();
    world.runUntil(world.now + TROUBLE_MS);
    world.calm();
    this.#restoreEverything();
    const isAtRest = () => this.#answered === this.#submitted && this.#unfinished().length === 0;
    const rested = world.runUntil(world.now + PEACE_MS, isAtRest);
    // What is still on its way must not change anything any more.
    world.runUntil(world.now + 20_000);
    for (const id of this.#checker.acceptedIds) this.#look(id);
    const breaches = [...this.#checker.judge(), ...this.#judgeCounts()];
    if (!rested)
      breaches.unshift(
        `it never came to rest: ${this.#unfinished()
          .map((id) => this.#explain(id))
          .join("; ")}`,
      );
    return { breaches, troubles: this.#troubles, endedStates: this.#endedStates };
  }

  // What the leader reaches.

  assign(id: AgentId, assignment: TaskAssignment): boolean {
    const listening = (this.#processes.get(id) ?? []).filter((process) => process.isAlive);
    for (const process of listening) {
      this.#world.send(() => process.deliver(() => process.receiveAssignment(assignment)));
    }
    return listening.length > 0;
  }

  order(order: AgentOrder): void {
    for (const process of this.#processes.get(order.agentId) ?? []) {
      this.#world.send(() => process.deliver(() => process.receiveOrder(order)));
    }
  }

  tellClients(view: TaskView): void {
    this.#world.send(() => this.#clientSees(view));
  }

  alarm(code: string): void {
    this.#count(`alarm ${code}`);
  }

  // Clients.

  #submitInTime(): void {
    const world = this.#world;
    while (this.#submitted < TASKS) {
      const size = Math.min(world.random() < 0.2 ? 4 : 1, TASKS - this.#submitted);
      const ids = Array.from({ length: size }, (_, index) => taskId(`t-${this.#submitted + index}`));
      this.#submitted += size;
      world.after(world.between(0, TROUBLE_MS * 0.8), () => this.#ask(this.#newTasks(ids)));
    }
  }

  #newTasks(ids: readonly TaskId[]): TaskSubmission[] {
    const world = this.#world;
    return ids.map((id, index) => {
      const earlier = [...this.#checker.acceptedIds.slice(-4), ...ids.slice(0, index)];
      const dependencies = earlier.filter(() => world.random() < 0.25);
      const task: TaskSubmission = { taskId: id, type: world.pick(["ocr", "gpu"]), input: id, dependencies };
      task.priority = world.pick(priorities);
      task.retry = { maximumAttempts: world.pick([0, 1, 2, 3]), initialIntervalMs: world.pick([100, 1_000]) };
      if (world.random() < 0.3) task.timeoutMs = world.between(500, 8_000);
      if (world.random() < 0.1) task.scheduleToCloseMs = world.between(5_000, 60_000);
      return task;
    });
  }

  /** Asks again with the same message until there is an answer, and now and then after it. */
  #ask(tasks: readonly TaskSubmission[]): void {
    const world = this.#world;
    const ids = tasks.map((task) => task.taskId as TaskId);
    const [first = taskId("none")] = ids;
    world.send(() => this.#submit(tasks, ids));
    world.after(2_000, () => {
      if (!this.#checker.isAccepted(first) || world.mishap(0.1)) this.#ask(tasks);
      else for (const id of ids) this.#follow(id);
    });
  }

  #submit(tasks: readonly TaskSubmission[], ids: readonly TaskId[]): void {
    const leader = this.#leader;
    leader?.deliver(() => {
      const request = {
        messageId: "unused",
        form: "batch" as const,
        tasks,
        bytes: 1_000,
        ended: this.#store.endedTasks,
      };
      const submitted = leader.core.submit(request, this.#world.now);
      leader.releaseAfter(() =>
        this.#world.send(() => {
          if (!submitted.ok) return this.#checker.clientWasRefused(ids.join(), submitted.refusal.code);
          for (const [index, id] of ids.entries()) this.#accepted(id, tasks[index] as TaskSubmission);
        }),
      );
    });
  }

  #accepted(id: TaskId, task: TaskSubmission): void {
    if (this.#checker.isAccepted(id)) return;
    this.#answered += 1;
    this.#checker.clientWasAccepted(id, task);
    if (this.#world.mishap(0.1)) this.#world.after(this.#world.between(0, 5_000), () => this.#cancel(id));
  }

  #cancel(id: TaskId): void {
    this.#count("cancellation");
    const leader = this.#leader;
    this.#world.send(() => leader?.deliver(() => leader.core.cancel(id, this.#world.now)));
  }

  /** Looks at a task every so often until its end was seen, and once more. */
  #follow(id: TaskId): void {
    if (this.#checker.hasEnded(id)) return;
    this.#look(id);
    this.#world.after(3_000, () => this.#follow(id));
  }

  #look(id: TaskId): void {
    const leader = this.#leader;
    leader?.deliver(() => {
      const record = leader.core.ledger.tasks.get(id) ?? this.#store.endedTasks.get(id);
      if (record === undefined) return this.#checker.clientWasRefused(id, "NOT_FOUND");
      const view = leader.core.view(record, this.#world.now);
      if (leader.isIdle) this.#clientSees(view);
      else leader.releaseAfter(() => this.#clientSees(view));
    });
  }

  #clientSees(view: TaskView): void {
    if (view.endedAt !== undefined && !this.#checker.hasEnded(view.taskId)) {
      this.#endedStates[view.state] = (this.#endedStates[view.state] ?? 0) + 1;
    }
    this.#checker.clientSaw(view);
  }

  // Trouble.

  #trouble(): void {
    const world = this.#world;
    const troubles = [
      () => this.#crashAgent(),
      () => this.#pauseAgent(),
      () => this.#replaceAgent(),
      () => this.#silenceMost(),
      () => this.#flap(),
      () => this.#drainAgent(),
      () => this.#crashLeader(),
      () => this.#pauseLeader(),
    ];
    const strike = (): void => {
      if (!world.mishap(1)) return;
      world.pick(troubles)();
      world.after(world.between(500, 6_000), strike);
    };
    world.after(world.between(500, 6_000), strike);
  }

  #count(trouble: string): void {
    this.#troubles[trouble] = (this.#troubles[trouble] ?? 0) + 1;
  }

  #living(): AgentProcess[] {
    return [...this.#processes.values()].flat().filter((process) => process.isAlive);
  }

  #crashAgent(): void {
    const [process] = this.#shuffledLiving();
    if (process === undefined) return;
    this.#count("agent crash");
    process.kill();
    this.#world.after(this.#world.between(0, 15_000), () => this.#ensureProcess(process.agentId));
  }

  #pauseAgent(): void {
    const [process] = this.#shuffledLiving();
    if (process === undefined) return;
    this.#count("agent pause");
    process.pause();
    this.#world.after(this.#world.between(100, 20_000), () => process.unpause());
  }

  /** A new process while the old one is only paused: it wakes up as a zombie. */
  #replaceAgent(): void {
    const [process] = this.#shuffledLiving();
    if (process === undefined) return;
    this.#count("agent replacement");
    process.pause();
    this.#startProcess(process.agentId);
    this.#world.after(this.#world.between(100, 15_000), () => process.unpause());
  }

  /** Most agents stand still and stay connected: to the leader it looks as if it heard nobody. */
  #silenceMost(): void {
    const world = this.#world;
    if (world.random() < 0.5) return;
    this.#count("mass silence");
    const unpauseAfterMs = world.between(5_000, 40_000);
    for (const process of this.#living()) {
      if (world.random() < 0.2) continue;
      process.pause();
      world.after(unpauseAfterMs + world.between(0, 2_000), () => process.unpause());
    }
  }

  /** Processes take one id from each other; each dies of it. */
  #flap(): void {
    const [process] = this.#shuffledLiving();
    if (process === undefined) return;
    this.#count("agent flapping");
    const { agentId: id } = process;
    const takeOver = (left: number): void => {
      for (const running of this.#processes.get(id) ?? []) running.kill();
      this.#startProcess(id);
      if (left > 0) this.#world.after(this.#world.between(100, 3_000), () => takeOver(left - 1));
    };
    takeOver(this.#world.between(3, 7));
  }

  #drainAgent(): void {
    const [process] = this.#shuffledLiving();
    if (process === undefined) return;
    this.#count("agent drain");
    process.deliver(() => process.drain());
    this.#world.after(this.#world.between(3_000, 10_000), () => this.#ensureProcess(process.agentId));
  }

  #shuffledLiving(): AgentProcess[] {
    const living = this.#living();
    return living.length === 0 ? [] : [this.#world.pick(living)];
  }

  #crashLeader(): void {
    this.#count("leader crash");
    this.#leader?.kill();
    this.#leader = null;
    this.#world.after(this.#world.between(0, 5_000), () => this.#lead());
  }

  /** Stopped for so long that somebody else leads when it wakes up, or just so long that nobody does. */
  #pauseLeader(): void {
    const leader = this.#leader;
    if (leader === null) return;
    this.#count("leader pause");
    leader.pause();
    this.#world.after(this.#world.between(100, 10_000), () => leader.unpause());
    if (this.#world.random() < 0.5) this.#world.after(this.#world.between(1_000, 5_000), () => this.#lead());
  }

  #lead(): void {
    if (this.#leader?.runs === true) return;
    this.#leader = new Leader(this.#world, this.#store, this);
  }

  /** Somebody stands by: a leader that died by itself is missed after its lease. */
  #standBy(): void {
    if (this.#leader?.isAlive === false) this.#lead();
    this.#world.after(2_000, () => this.#standBy());
  }

  #startProcess(id: AgentId): void {
    this.#instances += 1;
    const world = this.#world;
    const sim = { world, store: this.#store, checker: this.#checker, leader: () => this.#leader };
    const capabilities = id === "k-0" ? ["ocr", "gpu"] : world.pick([["ocr"], ["gpu"], ["ocr", "gpu"]]);
    const options = { instanceId: `process-${this.#instances}`, capabilities, places: world.between(1, 3) };
    this.#processes.set(id, [...(this.#processes.get(id) ?? []), new AgentProcess(sim, id, options)]);
  }

  #ensureProcess(id: AgentId): void {
    if (!(this.#processes.get(id) ?? []).some((process) => process.isAlive)) this.#startProcess(id);
  }

  #restoreEverything(): void {
    this.#leader?.unpause();
    const keepLeading = (): void => {
      if (this.#leader?.isAlive !== true) this.#lead();
      for (const process of this.#living()) process.unpause();
      for (const id of this.#processes.keys()) this.#ensureProcess(id);
      this.#world.after(1_000, keepLeading);
    };
    keepLeading();
  }

  // The end.

  #unfinished(): TaskId[] {
    return this.#checker.acceptedIds.filter((id) => !this.#checker.hasEnded(id));
  }

  #explain(id: TaskId): string {
    const record = this.#leader?.core.ledger.tasks.get(id);
    return record === undefined ? `${id} is not there` : `${id} ${this.#leader?.core.explain(record, this.#world.now)}`;
  }

  /** What anybody may ask for when all work is done. */
  #judgeCounts(): string[] {
    const status = this.#leader?.core.status();
    if (status === undefined) return ["nobody leads"];
    const left = {
      active: status.activeTaskCount,
      queued: status.queuedTaskCount,
      waiting: status.waitingTaskCount,
      backoff: status.backoffTaskCount,
      held: status.agentStatuses.reduce((sum, agent) => sum + agent.activeTaskCount, 0),
    };
    return Object.entries(left).flatMap(([what, count]) =>
      count === 0 ? [] : [`${count} tasks are counted as ${what}`],
    );
  }
}
