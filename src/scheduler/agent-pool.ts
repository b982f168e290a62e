/**
 * Which agents have a free place, ready for the next choice.
 *
 * Agents with the same capabilities form a crew, kept as a heap by load; a choice looks at the head of each crew that
 * has what the task needs. So it costs O(crews + log agents): a fleet of ten thousand equal agents is one crew.
 */
import type { AgentRecord } from "../protocol/agent-record.js";
import type { AgentId } from "../protocol/ids.js";
import { type Candidate, isLessLoaded } from "./pick-agent.js";
import { capabilityKey } from "./ready-queue.js";

interface Place extends Candidate {
  readonly agentId: AgentId;
  active: number;
  maximum: number;
  lastAssignment: number;
  takesWork: boolean;
  crew: Crew;
  /** Where it stands in its crew's heap; -1 while it has no free place. */
  position: number;
}

class Crew {
  readonly capabilities: ReadonlySet<string>;
  readonly key: string;
  memberCount = 0;
  readonly #heap: Place[] = [];
  readonly #onOpened: (crew: Crew) => void;

  constructor(key: string, capabilities: readonly string[], onOpened: (crew: Crew) => void) {
    this.key = key;
    this.capabilities = new Set(capabilities);
    this.#onOpened = onOpened;
  }

  /** The first of its heap; where that is the one to avoid, the better of the two right behind it. */
  leastLoaded(avoid: AgentId | null): Place | undefined {
    const [first, left, right] = this.#heap;
    if (first?.agentId !== avoid) return first;
    return left !== undefined && right !== undefined && isLessLoaded(right, left) ? right : left;
  }

  /** Puts the agent where its load belongs, or out of the heap where it has no free place. */
  settle(place: Place): void {
    const free = place.takesWork && place.active < place.maximum;
    if (!free) {
      this.remove(place);
      return;
    }
    if (place.position === -1) {
      place.position = this.#heap.length;
      this.#heap.push(place);
      if (this.#heap.length === 1) this.#onOpened(this);
    }
    this.#siftUp(place);
    this.#siftDown(place);
  }

  remove(place: Place): void {
    const { position } = place;
    if (position === -1) return;
    place.position = -1;
    const last = this.#heap.pop() as Place;
    if (last === place) return;
    last.position = position;
    this.#heap[position] = last;
    this.#siftUp(last);
    this.#siftDown(last);
  }

  #siftUp(place: Place): void {
    while (place.position > 0) {
      const parent = this.#heap[(place.position - 1) >> 1] as Place;
      if (!isLessLoaded(place, parent)) return;
      this.#swap(place, parent);
    }
  }

  #siftDown(place: Place): void {
    for (;;) {
      const left = this.#heap[place.position * 2 + 1];
      const right = this.#heap[place.position * 2 + 2];
      const child = right !== undefined && left !== undefined && isLessLoaded(right, left) ? right : left;
      if (child === undefined || !isLessLoaded(child, place)) return;
      this.#swap(place, child);
    }
  }

  #swap(a: Place, b: Place): void {
    const { position } = a;
    this.#heap[b.position] = a;
    this.#heap[position] = b;
    a.position = b.position;
    b.position = position;
  }
}

/** Task types may be made up by the thousand, each seen once. */
const SUITABLE_MAX = 10_000;

export class AgentPool {
  readonly #places = new Map<AgentId, Place>();
  readonly #crews = new Map<string, Crew>();
  /** Crews that can serve a set of required capabilities; forgotten whenever a crew comes or goes, or there are many. */
  readonly #suitable = new Map<string, readonly Crew[]>();
  /** Crews that had no free place and got one since they were last taken. */
  #opened = new Set<Crew>();
  #assignments = 0;
  /** Of the agents that take work: places they have, and places they have taken. */
  readonly places = { total: 0, taken: 0 };

  /** Takes over what a registration or a change of health says. */
  put(record: AgentRecord): void {
    const takesWork = record.state === "healthy";
    const key = capabilityKey(record.capabilities);
    let place = this.#places.get(record.agentId);
    if (place === undefined) {
      const crew = this.#join(key, record.capabilities);
      place = {
        agentId: record.agentId,
        active: 0,
        maximum: record.maxConcurrentTasks,
        lastAssignment: 0,
        takesWork,
        crew,
        position: -1,
      };
      this.#places.set(record.agentId, place);
    } else {
      this.#uncount(place);
      if (place.crew.key !== key) {
        this.#leave(place);
        place.crew = this.#join(key, record.capabilities);
      }
    }
    place.maximum = record.maxConcurrentTasks;
    place.takesWork = takesWork;
    this.#count(place);
    place.crew.settle(place);
  }

  drop(agentId: AgentId): void {
    const place = this.#places.get(agentId);
    if (place === undefined) return;
    this.#uncount(place);
    this.#leave(place);
    this.#places.delete(agentId);
  }

  activeCountOf(agentId: AgentId): number {
    return this.#places.get(agentId)?.active ?? 0;
  }

  /** Whether this one could take a task with these requirements right now. */
  isFree(agentId: AgentId, capabilities: readonly string[]): boolean {
    const place = this.#places.get(agentId);
    return (
      place !== undefined && place.position !== -1 && capabilities.every((name) => place.crew.capabilities.has(name))
    );
  }

  /** The least loaded agent with a free place and these capabilities; the one to avoid only if there is no other. */
  choose(capabilities: readonly string[], avoid: AgentId | null = null): AgentId | undefined {
    let best: Place | undefined;
    for (const crew of this.#crewsFor(capabilities)) {
      const head = crew.leastLoaded(avoid);
      if (head !== undefined && (best === undefined || isLessLoaded(head, best))) best = head;
    }
    if (best !== undefined || avoid === null) return best?.agentId;
    return this.isFree(avoid, capabilities) ? avoid : undefined;
  }

  /** The capabilities of agents that had no free place among their equals and got one since the last call. */
  takeOpened(): readonly ReadonlySet<string>[] {
    if (this.#opened.size === 0) return [];
    const taken = this.#opened;
    this.#opened = new Set();
    return Array.from(taken, ({ capabilities }) => capabilities);
  }

  /** An agent without a place (its record expired while nobody led) has none to take either. */
  occupy(agentId: AgentId): void {
    const place = this.#places.get(agentId);
    if (place === undefined) return;
    this.#assignments += 1;
    place.active += 1;
    if (place.takesWork) this.places.taken += 1;
    place.lastAssignment = this.#assignments;
    place.crew.settle(place);
  }

  release(agentId: AgentId): void {
    const place = this.#places.get(agentId);
    if (place === undefined) return;
    place.active -= 1;
    if (place.takesWork) this.places.taken -= 1;
    place.crew.settle(place);
  }

  #count({ takesWork, maximum, active }: Place): void {
    if (!takesWork) return;
    this.places.total += maximum;
    this.places.taken += active;
  }

  #uncount({ takesWork, maximum, active }: Place): void {
    if (!takesWork) return;
    this.places.total -= maximum;
    this.places.taken -= active;
  }

  #crewsFor(capabilities: readonly string[]): readonly Crew[] {
    const key = capabilityKey(capabilities);
    let crews = this.#suitable.get(key);
    if (crews === undefined) {
      crews = [...this.#crews.values()].filter((crew) => capabilities.every((name) => crew.capabilities.has(name)));
      if (this.#suitable.size >= SUITABLE_MAX) this.#suitable.clear();
      this.#suitable.set(key, crews);
    }
    return crews;
  }

  #join(key: string, capabilities: readonly string[]): Crew {
    let crew = this.#crews.get(key);
    if (crew === undefined) {
      crew = new Crew(key, capabilities, (opened) => this.#opened.add(opened));
      this.#crews.set(key, crew);
      this.#suitable.clear();
    }
    crew.memberCount += 1;
    return crew;
  }

  #leave(place: Place): void {
    place.crew.remove(place);
    place.crew.memberCount -= 1;
    if (place.crew.memberCount > 0) return;
    this.#crews.delete(place.crew.key);
    this.#opened.delete(place.crew);
    this.#suitable.clear();
  }
}
