/**
 * An orchestrator process around the real core: gathers decisions, appends them to the journal as one flush, lets
 * effects go after it. A crash forgets what was not appended; an append may arrive although its writer is gone.
 */
import { Core } from "../../src/core/core.js";
import { Ledger, type Outbox } from "../../src/core/ledger.js";
import { assignmentOf } from "../../src/core/views.js";
import type { Effect } from "../../src/machines/effect.js";
import type { AgentOrder, TaskAssignment, TaskResult } from "../../src/protocol/agent-message.js";
import { Fact } from "../../src/protocol/fact.js";
import type { AgentId, TaskId } from "../../src/protocol/ids.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { endedStates, type TaskRecord } from "../../src/protocol/task-record.js";
import { Process, type World } from "./world.js";

/** What is on disk, and what a crash of any process leaves as it is. */
export interface Store {
  /** Counts leaders: an append of an older one is refused. */
  epoch: number;
  readonly flushes: { readonly facts: string; readonly lastRead: Read }[];
  /** A server that is killed forgets the last ones, though it had acknowledged them. */
  readonly results: StoredResult[];
  readonly endedTasks: Map<TaskId, TaskRecord>;
}

export interface StoredResult {
  readonly sender: AgentId;
  readonly result: TaskResult;
}

/** Up to where results were read: how many, and the last one, by which it is noticed that others are in their place now. */
interface Read {
  readonly count: number;
  readonly last: StoredResult | undefined;
}

/** Where a leader's messages go. */
export interface Surroundings {
  /** False if nobody listens on the agent's subject. */
  assign(agentId: AgentId, assignment: TaskAssignment): boolean;
  order(order: AgentOrder): void;
  tellClients(view: TaskView): void;
  broadcast(eventType: string, payload: Readonly<Record<string, unknown>>): void;
  /** The leader says that something is wrong with agents or with itself. */
  alarm(code: string): void;
}

interface Group {
  readonly facts: string;
  readonly releases: readonly (Effect | (() => void))[];
  /** These are contained in what was decided up to this group. */
  readonly lastRead: Read;
}

const nothingRead: Read = { count: 0, last: undefined };

const HEARTBEAT_MS = 1_000;
export const limits = { heartbeatIntervalMs: HEARTBEAT_MS, unhealthyThresholdMs: 3_000, lostThresholdMs: 6_000 };

export class Leader extends Process {
  readonly core: Core;
  readonly leadingSince: number;
  readonly #world: World;
  readonly #store: Store;
  readonly #surroundings: Surroundings;
  readonly #epoch: number;
  #pending: Group[] = [];
  #flushState: "idle" | "scheduled" | "appending" = "idle";
  #lastRead: Read;
  #lastTick: number;

  constructor(world: World, store: Store, surroundings: Surroundings) {
    super();
    this.#world = world;
    this.#store = store;
    this.#surroundings = surroundings;
    store.epoch += 1;
    this.#epoch = store.epoch;
    this.leadingSince = world.now;
    this.#lastRead = store.flushes.at(-1)?.lastRead ?? nothingRead;
    this.#lastTick = world.now;

    const ledger = new Ledger();
    for (const { facts } of store.flushes) {
      for (const fact of JSON.parse(facts) as unknown[]) ledger.restoreFact(Fact.parse(fact));
    }
    ledger.deriveIndexes();
    let tokens = 0;
    this.core = new Core({
      ledger,
      settings: { maxConcurrentTasks: 0, maxQueuedTasks: 10_000, ...limits },
      chance: {
        newToken: () => {
          tokens += 1;
          return `token-${this.#epoch}-${tokens}`;
        },
        random: () => world.random(),
      },
      monotonicNow: world.now,
      onDecision: (outbox) => this.#gather(outbox),
    });
    this.core.resume(world.now);
    this.readResults();
    this.#tick();
  }

  get instant() {
    return { at: this.#world.now, monotonicAt: this.#world.now };
  }

  /** Nothing waits to be written or let go. */
  get isIdle(): boolean {
    return this.#flushState === "idle" && this.#pending.length === 0;
  }

  /** Runs when everything decided so far is on disk. */
  releaseAfter(run: () => void): void {
    this.#push("[]", [run]);
  }

  readResults(): void {
    const { results } = this.#store;
    // What was read last is not there any more: everything that is left is read again.
    if (results[this.#lastRead.count - 1] !== this.#lastRead.last) this.#lastRead = nothingRead;
    for (;;) {
      const next = results[this.#lastRead.count];
      if (next === undefined) return;
      this.#lastRead = { count: this.#lastRead.count + 1, last: next };
      this.core.result(next.sender, next.result, this.instant);
    }
  }

  #gather({ facts, effects }: Outbox): void {
    if (facts.length + effects.length > 0) this.#push(JSON.stringify(facts), effects);
  }

  #push(facts: string, releases: Group["releases"]): void {
    this.#pending.push({ facts, releases, lastRead: this.#lastRead });
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushState !== "idle") return;
    this.#flushState = "scheduled";
    this.#world.after(1, () => this.deliver(() => this.#flush()));
  }

  #flush(): void {
    this.#flushState = "appending";
    this.core.place(this.#world.now);
    // A flush is full at some point: decisions that were made together may be on disk one without the other.
    const full = this.#world.random() < 0.3;
    const groups = this.#pending.splice(0, full ? this.#world.between(1, this.#pending.length) : this.#pending.length);
    const facts = groups.flatMap((group) => JSON.parse(group.facts) as Fact[]);
    const { lastRead } = groups.at(-1) ?? this.#store.flushes.at(-1) ?? { lastRead: nothingRead };
    const flush = { facts: JSON.stringify(facts), lastRead };
    const latency = this.#world.between(1, this.#world.mishap(0.05) ? 2_000 : 5);
    this.#world.after(this.#world.between(0, latency), () => {
      // Lost with its writer's connection, or on disk although its writer never hears of it.
      const arrives = this.isAlive || this.#world.random() < 0.5;
      const isFenced = this.#store.epoch !== this.#epoch;
      if (arrives && !isFenced && facts.length > 0) this.#store.flushes.push(flush);
      if (full && this.#world.mishap(0.03)) this.kill();
      this.#world.after(latency, () => this.deliver(() => (isFenced ? this.kill() : this.#letGo(groups))));
    });
  }

  #letGo(groups: readonly Group[]): void {
    for (const release of groups.flatMap((group) => group.releases)) {
      if (this.#world.mishap(0.002)) this.kill();
      if (!this.isAlive) return;
      if (typeof release === "function") release();
      else this.#run(release);
    }
    this.#flushState = "idle";
    if (this.#pending.length > 0) this.#scheduleFlush();
    else this.#forgetEnded();
  }

  /** What memory holds is on disk right now: ended tasks may be spoken for by their stored records. */
  #forgetEnded(): void {
    const { ledger } = this.core;
    for (const record of [...ledger.tasks.values()]) {
      const { taskId } = record.spec;
      if (!endedStates.has(record.state) || ledger.graph.hasDependents(taskId)) continue;
      this.#store.endedTasks.set(taskId, JSON.parse(JSON.stringify(record)) as TaskRecord);
      ledger.forgetTask(taskId);
    }
  }

  #run(effect: Effect): void {
    const { ledger } = this.core;
    switch (effect.kind) {
      case "dispatchTask": {
        const record = ledger.tasks.get(effect.taskId);
        const assignment =
          record === undefined ? null : assignmentOf(record, effect.token, ledger, this.core.workflows);
        if (assignment === null || record?.agentId == null) return;
        if (this.#surroundings.assign(record.agentId, assignment)) return;
        const { taskId, token } = effect;
        this.#world.send(() => this.deliver(() => this.core.undeliverable(taskId, token, this.instant)));
        return;
      }
      case "cancelAttempt":
        this.#surroundings.order({ ...effect, state: "cancel" });
        return;
      case "orderAgent":
        this.#surroundings.order(effect);
        return;
      case "answerAsked":
      case "lookUpEnded":
        // No workflows are simulated here, so nobody asks them.
        return;
      case "answerWaiters": {
        const record = ledger.tasks.get(effect.taskId);
        if (record !== undefined) this.#surroundings.tellClients(this.core.view(record, this.#world.now));
        return;
      }
      case "broadcastEvent":
        this.#surroundings.broadcast(effect.eventType, effect.payload);
        if (effect.eventType === "SYSTEM_ERROR") this.#surroundings.alarm(String(effect.payload["code"]));
        return;
    }
  }

  /** The duties that follow from time alone. */
  #tick(): void {
    this.deliver(() => {
      const now = this.#world.now;
      // Its own clock tells a process that it was stopped.
      if (now - this.#lastTick > 2 * HEARTBEAT_MS) this.core.observerResumed(now);
      this.#lastTick = now;
      this.core.fireDeadlines(now);
      this.core.checkSilence(this.instant);
      this.#scheduleFlush();
    });
    if (this.isAlive) this.#world.after(250, () => this.#tick());
  }
}
