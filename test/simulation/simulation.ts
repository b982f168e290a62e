/** One seeded run: clients, agents, leaders and a store, first with everything going wrong, then in peace. */
import type { AgentOrder, TaskAssignment } from "../../src/protocol/agent-message.js";
import type { AgentId, TaskId } from "../../src/protocol/ids.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { judge } from "../checker/checker.js";
import { planWorkload } from "../checker/workload.js";
import { agentId } from "../support/given.js";
import { AgentProcess } from "./agent-process.js";
import { Clients } from "./clients.js";
import { Leader, type Store, type Surroundings } from "./leader.js";
import { Witness } from "./witness.js";
import { World } from "./world.js";

const TASKS = 24;
const AGENTS = 5;
const TYPES = ["ocr", "gpu"];
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
  readonly #witness = new Witness();
  readonly #clients: Clients;
  readonly #processes = new Map<AgentId, AgentProcess[]>();
  readonly #troubles: Record<string, number> = {};
  #leader: Leader | null = null;
  #instances = 0;

  constructor(seed: number) {
    this.#world = new World(seed);
    const agentIds = Array.from({ length: AGENTS }, (_, index) => `k-${index}`);
    const submissions = planWorkload({ seed, tasks: TASKS, types: TYPES, agentIds });
    const surroundings = { world: this.#world, store: this.#store, witness: this.#witness, leader: () => this.#leader };
    this.#clients = new Clients(surroundings, submissions);
  }

  run(): Outcome {
    const world = this.#world;
    this.#lead();
    for (let index = 0; index < AGENTS; index += 1) this.#startProcess(agentId(`k-${index}`));
    this.#standBy();
    this.#clients.start(TROUBLE_MS * 0.8);
    this.#trouble();
    world.runUntil(world.now + TROUBLE_MS);
    world.calm();
    this.#restoreEverything();
    const rested = world.runUntil(world.now + PEACE_MS, () => this.#clients.isAtRest);
    // What is still on its way must not change anything any more.
    world.runUntil(world.now + 20_000);
    this.#clients.lookAtAll();
    world.runUntil(world.now + 1_000);
    const breaches = [...this.#restlessness(rested), ...this.#verdict()];
    return { breaches, troubles: this.#troubles, endedStates: this.#clients.ends };
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
    this.#clients.isTold(view);
  }

  /** Events may be lost and are never repeated. */
  broadcast(eventType: string, payload: Readonly<Record<string, unknown>>): void {
    if (this.#world.mishap(0.05)) return;
    this.#witness.sees({ kind: "heard", at: this.#world.now, eventType, payload });
  }

  alarm(code: string): void {
    this.#count(`alarm ${code}`);
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
      () => this.#crashServer(),
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

  /** Its stream of results acknowledges before the disk has them; what the journal holds, it holds. */
  #crashServer(): void {
    const { results } = this.#store;
    this.#count("server crash");
    results.length -= Math.min(results.length, this.#world.between(0, 3));
    // Reconnected, the reader looks for what it read last.
    this.#world.after(this.#world.between(1, 3_000), () => {
      const leader = this.#leader;
      leader?.deliver(() => leader.readResults());
    });
  }

  #lead(): void {
    // A term begins when the one before is over, and not in the same millisecond: what ended in which can be told.
    this.#world.after(1, () => {
      if (this.#leader?.runs !== true) this.#leader = new Leader(this.#world, this.#store, this);
    });
  }

  /** Somebody stands by: a leader that died by itself is missed after its lease. */
  #standBy(): void {
    if (this.#leader?.isAlive === false) this.#lead();
    this.#world.after(2_000, () => this.#standBy());
  }

  #startProcess(id: AgentId): void {
    this.#instances += 1;
    const world = this.#world;
    const sim = { world, store: this.#store, witness: this.#witness, leader: () => this.#leader };
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

  #restlessness(rested: boolean): string[] {
    if (rested) return [];
    const why = this.#clients.unfinished.map((id) => {
      const record = this.#leader?.core.ledger.tasks.get(id as TaskId);
      return record === undefined
        ? `${id} is not there`
        : `${id}: ${this.#leader?.core.explain(record, this.#world.now)}`;
    });
    return [`it never came to rest: ${why.join("; ")}`];
  }

  #verdict(): readonly string[] {
    const leader = this.#leader;
    if (leader === null) return ["nobody leads"];
    const { clients, agents } = this.#witness;
    const status = { leadingSince: leader.leadingSince, ...leader.core.status() };
    return judge({ clients, agents, statuses: [status] }).breaches;
  }
}
