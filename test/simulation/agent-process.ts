/**
 * One process under an agent's id: registers, heartbeats, works, hands in results. It keeps to the rules of the wire
 * (knows an attempt by its token, hands back what it has no place for) and fails, crashes and stops at will.
 */
import type { AgentOrder, AgentReport, TaskAssignment, TaskResult } from "../../src/protocol/agent-message.js";
import type { AgentId } from "../../src/protocol/ids.js";
import type { Output, WorkOrder } from "../checker/history.js";
import { type Outcome, workOn } from "../checker/work.js";
import { givenHeartbeat } from "../support/given.js";
import { type Leader, limits, type Store } from "./leader.js";
import type { Witness } from "./witness.js";
import { Process, type World } from "./world.js";

export interface AgentWorld {
  readonly world: World;
  readonly store: Store;
  readonly witness: Witness;
  /** Whoever leads now; null between two leaders. */
  readonly leader: () => Leader | null;
}

interface Work {
  readonly assignment: TaskAssignment;
  result: TaskResult | null;
}

export class AgentProcess extends Process {
  readonly agentId: AgentId;
  readonly #sim: AgentWorld;
  readonly #instanceId: string;
  readonly #capabilities: string[];
  readonly #places: number;
  readonly #work = new Map<string, Work>();
  readonly #handedBack = new Set<string>();
  #incarnation: number | null = null;
  #drains = false;

  constructor(
    sim: AgentWorld,
    agentId: AgentId,
    options: { instanceId: string; capabilities: string[]; places: number },
  ) {
    super();
    this.agentId = agentId;
    this.#sim = sim;
    this.#instanceId = options.instanceId;
    this.#capabilities = options.capabilities;
    this.#places = options.places;
    this.#beat();
  }

  receiveAssignment(assignment: TaskAssignment): void {
    const { token } = assignment;
    // It may be its successor's: taken by a process that is about to learn that it was replaced, it would be nobody's.
    if (this.#incarnation === null || assignment.incarnation !== this.#incarnation) return;
    const known = this.#work.get(token);
    const busy = [...this.#work.values()].filter((work) => work.result === null).length;
    if (known?.result === null) this.#report("accepted", assignment);
    else if (known?.result !== undefined) this.#handIn(known.result);
    else if (this.#handedBack.has(token) || this.#drains || busy >= this.#places) this.#handBack(assignment);
    else this.#begin(assignment);
  }

  receiveOrder(order: AgentOrder): void {
    if (order.state === "registered") this.#incarnation = order.incarnation ?? null;
    if (order.state === "reregister") this.#incarnation = null;
    if (order.state === "superseded" && order.incarnation === this.#incarnation) this.kill();
    if (order.state === "cancel" && order.token !== undefined) this.#stop(order.token);
  }

  /** Hands back what it has and says goodbye. */
  drain(): void {
    this.#drains = true;
    this.#report("draining");
    for (const work of this.#work.values()) if (work.result === null) this.#handBack(work.assignment);
    this.#sim.world.after(2_000, () =>
      this.deliver(() => {
        this.#report("idle");
        this.#sim.world.after(500, () => this.kill());
      }),
    );
  }

  #begin(assignment: TaskAssignment): void {
    const { world, witness } = this.#sim;
    const { taskId, attempt, token, dependencyResults } = assignment;
    const which: Output = { taskId, attempt, token };
    witness.works("began", which, { ...this.#here, dependencyResults: structuredClone(dependencyResults) });
    this.#work.set(token, { assignment, result: null });
    if (!world.mishap(0.2)) this.#report("accepted", assignment);
    const { afterMs, outcome } = workOn(assignment.input as WorkOrder, which);
    if (afterMs === null) return;
    const delayMs = world.mishap(0.1) ? world.between(1, 15_000) : world.between(1, 1_500);
    world.after(afterMs + delayMs, () => this.deliver(() => this.#finish(token, outcome)));
  }

  #finish(token: string, outcome: Outcome | { readonly status: "cancelled" }): void {
    const work = this.#work.get(token);
    if (work === undefined || work.result !== null) return;
    const { taskId, attempt } = work.assignment;
    this.#sim.witness.works("finished", work.assignment, { ...this.#here, status: outcome.status });
    const usage = { cost: 1, tokens: { input: 1, output: 1 }, model: "none" };
    work.result = { taskId, attempt, token, agentId: this.agentId, ...outcome, usage };
    this.#handIn(work.result);
  }

  #stop(token: string): void {
    const order = this.#work.get(token)?.assignment.input as WorkOrder | undefined;
    if (order?.do !== "stubborn") this.#finish(token, { status: "cancelled" });
  }

  #handBack(assignment: TaskAssignment): void {
    this.#work.delete(assignment.token);
    this.#handedBack.add(assignment.token);
    this.#sim.witness.works("released", assignment, this.#here);
    this.#report("released", assignment);
  }

  get #here() {
    return { at: this.#sim.world.now, agentId: this.agentId, process: this.#instanceId };
  }

  /** Publishes until it is stored, which a crash can come before; sometimes twice. */
  #handIn(result: TaskResult): void {
    const { world, store, leader } = this.#sim;
    const publish = (): void => {
      store.results.push({ sender: this.agentId, result });
      const reader = leader();
      reader?.deliver(() => reader.readResults());
    };
    world.after(world.between(0, world.mishap(0.1) ? 4_000 : 10), () => this.deliver(publish));
    if (world.mishap(0.1)) world.after(world.between(0, 10_000), () => this.deliver(publish));
  }

  #report(state: AgentReport["state"], assignment?: TaskAssignment): void {
    const report: AgentReport = { agentId: this.agentId, state };
    if (this.#incarnation !== null) report.incarnation = this.#incarnation;
    if (assignment !== undefined) Object.assign(report, { taskId: assignment.taskId, token: assignment.token });
    this.#tell((leader) => leader.core.report(this.agentId, report, leader.instant));
  }

  /** Registers until it is confirmed, and heartbeats from then on. */
  #beat(): void {
    this.deliver(() => (this.#incarnation === null ? this.#register() : this.#heartbeat()));
    if (this.isAlive) this.#sim.world.after(limits.heartbeatIntervalMs, () => this.#beat());
  }

  #register(): void {
    if (this.#drains) return;
    this.#tell((leader) => {
      const registration = {
        agentId: this.agentId,
        instanceId: this.#instanceId,
        capabilities: this.#capabilities,
        maxConcurrentTasks: this.#places,
      };
      const { incarnation } = leader.core.register(registration, leader.instant);
      leader.releaseAfter(() =>
        this.#hear(() => this.receiveOrder({ agentId: this.agentId, state: "registered", incarnation })),
      );
    });
  }

  #heartbeat(): void {
    const incarnation = this.#incarnation ?? undefined;
    const tokens = [...this.#work.values()].filter((work) => work.result === null).map((work) => work.assignment.token);
    this.#tell((leader) => {
      const message = givenHeartbeat({ agentId: this.agentId, incarnation, tokens });
      const answer = leader.core.heartbeat(this.agentId, message, leader.instant);
      leader.releaseAfter(() =>
        this.#hear(() => {
          for (const token of answer.cancel) this.#stop(token);
          if (answer.state === "reregister") this.#incarnation = null;
          if (answer.state === "superseded") this.kill();
        }),
      );
    });
  }

  #tell(say: (leader: Leader) => void): void {
    this.#sim.world.send(() => {
      const leader = this.#sim.leader();
      leader?.deliver(() => say(leader));
    });
  }

  #hear(listen: () => void): void {
    this.#sim.world.send(() => this.deliver(listen));
  }
}
