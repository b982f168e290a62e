/** Everything that is done to the processes of a run, and in which order: each kind in turn, in rounds mixed by the seed. */
import type { SeededRandom } from "../support/seeded-random.js";
import type { Agenda } from "./agenda.js";
import type { Fleet, Place } from "./fleet.js";
import type { Server } from "./server.js";

export interface Battlefield {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  readonly fleet: Fleet;
  readonly server: Server;
  /** Of the orchestrators, milliseconds. */
  readonly leaseMs: number;
  /** Silence after which an agent's work is given to others, milliseconds. */
  readonly lostAfterMs: number;
}

type Strike = (field: Battlefield) => Promise<void> | void;

const strikes = {
  "leader killed": ({ fleet }) => fleet.leader?.child?.kill(),
  "standby killed": ({ fleet }) => standbyOf(fleet)?.child?.kill(),
  "both orchestrators killed": async ({ fleet }) => {
    await Promise.all(fleet.orchestrators.map(({ child }) => child?.kill()));
  },
  "leader frozen beyond its lease": (field) =>
    freeze(field, field.fleet.leader, field.leaseMs, 2_000 + 3 * field.leaseMs),
  "leader frozen for a moment": (field) => freeze(field, field.fleet.leader, 50, field.leaseMs),
  "standby frozen": (field) => freeze(field, standbyOf(field.fleet), 500, 4_000),
  "both orchestrators frozen": (field) => {
    for (const place of field.fleet.orchestrators) freeze(field, place, 500, 2_000 + 2 * field.leaseMs);
  },
  "leader stopped in order": ({ fleet }) => fleet.leader?.child?.stop(),
  "agent killed": (field) => anyAgent(field)?.child?.kill(),
  "half of the agents killed": async (field) => {
    await Promise.all(half(field).map(({ child }) => child?.kill()));
  },
  "agent frozen for a moment": (field) => freeze(field, anyAgent(field), 100, 1_000),
  "agent frozen until it is lost": (field) => freeze(field, anyAgent(field), field.lostAfterMs, 3 * field.lostAfterMs),
  "agent replaced while it is frozen": (field) => {
    const place = anyAgent(field);
    if (place === undefined) return;
    place.child?.freeze();
    place.start();
    field.agenda.after(field.random.between(100, 2 * field.lostAfterMs), () => place.thaw());
  },
  "agent stopped in order": (field) => anyAgent(field)?.child?.stop(),
  "everything killed": async (field) => {
    const { fleet } = field;
    await Promise.all([...fleet.all.map(({ child }) => child?.kill()), killServer(field, 0, 2_000)]);
  },
  "server killed": (field) => killServer(field, 0, 2_000),
  "server stopped in order": async ({ server }) => {
    if (!server.isRunning) return;
    await server.stop();
    await server.start();
  },
  "server killed twice in a row": async (field) => {
    await killServer(field, 0, 0);
    field.agenda.after(field.random.between(0, 400), () => void killServer(field, 0, 1_000));
  },
  "server frozen": (field) => {
    field.server.freeze();
    field.agenda.after(field.random.between(200, 5_000), () => field.server.thaw());
  },
  "server killed while somebody takes over": async (field) => {
    await field.fleet.leader?.child?.kill();
    field.agenda.after(field.random.between(0, 1_500), () => void killServer(field, 0, 500));
  },
  "server and leader killed": async (field) => {
    await Promise.all([field.fleet.leader?.child?.kill(), killServer(field, 0, 1_000)]);
  },
  "leader frozen, then server killed": async (field) => {
    freeze(field, field.fleet.leader, 500, 3 * field.leaseMs);
    await killServer(field, 0, 500);
  },
} satisfies Record<string, Strike>;

export type StrikeKind = keyof typeof strikes;

/** Strikes until it is told to end. */
export class Onslaught {
  /** What was done, and when it began, epoch milliseconds. */
  readonly done: { readonly at: number; readonly kind: StrikeKind }[] = [];
  readonly #field: Battlefield;
  readonly #gapMs: { readonly least: number; readonly most: number };
  #round: StrikeKind[] = [];
  #isOver = false;

  constructor(field: Battlefield, gapMs: { readonly least: number; readonly most: number }) {
    this.#field = field;
    this.#gapMs = gapMs;
  }

  start(): void {
    const { agenda, random } = this.#field;
    agenda.after(random.between(this.#gapMs.least, this.#gapMs.most), () => void this.#strike());
  }

  get counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of this.done) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }

  end(): void {
    this.#isOver = true;
  }

  async #strike(): Promise<void> {
    if (this.#isOver) return;
    if (this.#round.length === 0) this.#round = this.#field.random.shuffled(Object.keys(strikes) as StrikeKind[]);
    const kind = this.#round.pop() as StrikeKind;
    this.done.push({ at: Date.now(), kind });
    await strikes[kind](this.#field);
    this.start();
  }
}

function standbyOf(fleet: Fleet): Place | undefined {
  return fleet.orchestrators.find((place) => place.runs && !place.leads);
}

function anyAgent({ fleet, random }: Battlefield): Place | undefined {
  const running = fleet.agents.filter(({ runs }) => runs);
  return running.length === 0 ? undefined : random.pick(running);
}

function half({ fleet, random }: Battlefield): Place[] {
  const running = random.shuffled(fleet.agents.filter(({ runs }) => runs));
  return running.slice(0, Math.ceil(running.length / 2));
}

function freeze({ agenda, random }: Battlefield, place: Place | undefined, least: number, most: number): void {
  if (place === undefined) return;
  place.child?.freeze();
  agenda.after(random.between(least, most), () => place.thaw());
}

/** Resolves when it runs again. */
async function killServer({ agenda, random, server }: Battlefield, least: number, most: number): Promise<void> {
  if (!server.isRunning) return;
  await server.kill();
  await agenda.pause(random.between(least, most));
  await server.start();
}
