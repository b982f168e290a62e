/**
 * Which of several brains is active, and how a new one takes the place of the old one: offer, drained, took over, on
 * `baker.system.handoff`. The messages make it quick; what makes it safe is one remembered record, the term, which each
 * brain has to raise before it becomes active and which only one of two can.
 */
import { randomUUID } from "node:crypto";
import type { Fleet } from "perdure/bridges";
import { z } from "zod";
import type { Memory } from "./memory.js";
import { Handoff, type HealthBeat, subject } from "./messages.js";
import { contextOfItsOwn } from "./tracing.js";

/** `drained`: it has let go of everything and waits for its successor to take it. */
export type BrainRole = "standby" | "active" | "drained" | "gone";

export interface HandoffOptions {
  readonly fleet: Fleet;
  readonly memory: Memory;
  readonly brainId: string;
  /** How often a brain that stands by makes its offer. */
  readonly offerIntervalMs: number;
  /** How long it waits for a sign of the other one before it acts by itself. */
  readonly patienceMs: number;
  /** Begins to dispatch. */
  readonly take: () => Promise<void>;
  /** May be called twice. Lets go of everything; what is in flight stays with the engine and with the shared consumers. */
  readonly letGo: () => Promise<void>;
}

const Term = z.object({ brainId: z.string(), term: z.int() });
type Term = z.infer<typeof Term>;
const KEY = "brain";
/** Of the record before any brain was active. */
const NOBODY: Term = { brainId: "", term: 0 };
/** To whichever brain stands by, from one that ends without having been asked to. */
const ANYBODY = "anybody";

export class HandoffMember {
  readonly #options: HandoffOptions;
  readonly #stopListening: () => void;
  readonly #timer: NodeJS.Timeout;
  /** Resolves when another brain is active in place of this one, or it was stopped; rejects where it could not take or let go. */
  readonly gone: Promise<void>;
  #settle: (fault?: unknown) => void = () => undefined;
  readonly #instance = randomUUID();
  #role: BrainRole = "standby";
  #term = 0;
  #successor: string | null = null;
  /** The record, as this brain read it last: whichever is active, as far as this one knows. */
  #known = NOBODY;
  #heardAt = performance.now();
  #inOrder: Promise<void> = Promise.resolve();

  constructor(options: HandoffOptions) {
    this.#options = options;
    this.gone = new Promise((resolve, reject) => {
      this.#settle = (fault) => (fault === undefined ? resolve() : reject(fault));
    });
    const subscription = options.fleet.listen(subject.handoff, Handoff, ({ body }) => this.#hear(body));
    this.#stopListening = () => subscription.unsubscribe();
    this.#timer = setInterval(() => this.#tick(), options.offerIntervalMs);
    this.#say({ phase: "offer" });
    this.#do(() => this.#claimIfFirst());
  }

  get role(): BrainRole {
    return this.#role;
  }

  /** 0 for one that was never active. */
  get term(): number {
    return this.#term;
  }

  /** Other brains' beats say who is active. */
  hearBeat({ service, id, role, term }: HealthBeat): void {
    if (service !== "brain" || (role !== "active" && role !== "drained")) return;
    if (typeof term === "number") this.#hearTerm(id, term);
  }

  /** Lets go, and lets whoever stands by know. May be called twice. */
  async stop(): Promise<void> {
    this.#do(async () => {
      if (this.#role === "active") await this.#options.letGo();
      if (this.#role === "active" || this.#role === "drained")
        this.#say({ phase: "drained", to: ANYBODY, term: this.#term });
      this.#leave();
    });
    await this.gone;
  }

  #hear(message: Handoff): void {
    const { brainId } = this.#options;
    if (message.phase === "offer") {
      // One that was started under the same id is another brain; one that does not say is told by its id.
      const isOwn = message.from === brainId && (message.instance ?? this.#instance) === this.#instance;
      if (!isOwn) this.#hearOffer(message.from);
    } else if (message.phase === "tookOver") this.#hearTerm(message.from, message.term);
    else if (message.to === brainId || message.to === ANYBODY) {
      this.#do(() => this.#claim("standby", message.term ?? this.#known.term));
    }
  }

  #hearOffer(from: string): void {
    this.#do(async () => {
      if (this.#role === "active") {
        // From here on its beats say so.
        this.#role = "drained";
        this.#successor = from;
        await this.#options.letGo();
        this.#heardAt = performance.now();
      }
      // Also when it is asked again: the first answer may have been lost.
      if (this.#role === "drained" && this.#successor === from)
        this.#say({ phase: "drained", to: from, term: this.#term });
    });
  }

  /**
   * Somebody else says that it is active: this brain's time is over, whether it noticed or not. But only the record says so: an
   * old brain may beat with roles and terms of its own. A lower term counts as well: the record may have been wiped.
   */
  #hearTerm(brainId: string, term: number): void {
    const isKnown = (): boolean => term === this.#known.term && brainId === this.#known.brainId;
    // Its own words.
    if (brainId === this.#options.brainId && term === this.#term) return;
    if (isKnown()) this.#heardAt = performance.now();
    else
      this.#do(async () => {
        await this.#readRecord();
        if (isKnown()) this.#heardAt = performance.now();
        await this.#leaveIfReplaced();
      });
  }

  #tick(): void {
    if (this.#role === "standby") this.#say({ phase: "offer" });
    // Only when it is its turn: to let go may take longer than the patience, and the successor's time begins after it.
    this.#do(async () => {
      if (performance.now() - this.#heardAt <= this.#options.patienceMs) return;
      if (this.#role === "standby") await this.#claim("standby", this.#known.term);
      // One that has let go and whose successor never came goes on itself.
      if (this.#role === "drained") await this.#claim("drained", this.#term);
    });
  }

  /** Where the record is not this brain's, whatever its term: it was written over this one's, or after it was wiped. */
  async #leaveIfReplaced(): Promise<void> {
    const { brainId, term } = this.#known;
    if (this.#known === NOBODY || (brainId === this.#options.brainId && term === this.#term)) return;
    if (this.#role === "active") await this.#options.letGo();
    if (this.#role === "active" || this.#role === "drained") this.#leave();
  }

  /** Where no brain ever was, none has to be waited for. */
  async #claimIfFirst(): Promise<void> {
    await this.#readRecord();
    if (this.#known === NOBODY) await this.#claim("standby", NOBODY.term);
  }

  /** Refused where somebody has claimed since: whoever acts on that brain's silence has to wait for the new one's. */
  async #claim(as: BrainRole, after: number): Promise<void> {
    if (this.#role !== as) return;
    const { memory, brainId, take } = this.#options;
    const revision = await this.#readRecord();
    this.#heardAt = performance.now();
    // A record that was wiped is made again.
    if (this.#known !== NOBODY && this.#known.term !== after) return await this.#leaveIfReplaced();
    const term = after + 1;
    if (!(await memory.write(KEY, { brainId, term }, revision))) return;
    this.#term = term;
    this.#known = { brainId, term };
    this.#successor = null;
    this.#role = "active";
    await take();
    this.#say({ phase: "tookOver", term });
  }

  /** Resolves with the record's revision. */
  async #readRecord(): Promise<number> {
    const { value, revision } = await this.#options.memory.read(KEY, Term);
    this.#known = value ?? NOBODY;
    return revision;
  }

  #leave(fault?: unknown): void {
    clearInterval(this.#timer);
    this.#stopListening();
    this.#role = "gone";
    this.#settle(fault);
  }

  /** One thing after the other: nothing is let go of while it is being taken. */
  #do(what: () => Promise<void>): void {
    this.#inOrder = this.#inOrder
      .then(async () => {
        if (this.#role !== "gone") await what();
      })
      .catch((fault: unknown) => this.#leave(fault));
  }

  #say(message: Readonly<Record<string, unknown>>): void {
    const { fleet, brainId } = this.#options;
    const said = { ...message, from: brainId, instance: this.#instance, timestamp: new Date().toISOString() };
    fleet.send(subject.handoff, said, contextOfItsOwn());
  }
}
