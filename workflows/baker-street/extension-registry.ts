/**
 * Which extensions there are, remembered together by the brains: an extension announces itself once, and the brain that
 * takes over later was not there. What was remembered is announced again in its name.
 */
import type { Fleet } from "perdure/bridges";
import { z } from "zod";
import type { Memory } from "./memory.js";
import { Announcement, ExtensionBeat, Goodbye, subject } from "./messages.js";
import { contextOfItsOwn } from "./tracing.js";

const Known = z.record(z.string(), Announcement);
type Known = z.infer<typeof Known>;

const KEY = "extensions";
const EXTENSIONS_MAX = 1_000;

export class ExtensionRegistry {
  readonly #fleet: Fleet;
  readonly #memory: Memory;
  readonly #heardAt = new Map<string, number>();
  readonly #ends: readonly (() => void)[];
  #inOrder: Promise<void> = Promise.resolve();

  constructor(fleet: Fleet, memory: Memory, lostAfterMs: number) {
    this.#fleet = fleet;
    this.#memory = memory;
    const announcements = fleet.listen(subject.announce, Announcement, ({ body }) => this.#add(body));
    const beats = fleet.listen(subject.heartbeat, ExtensionBeat, ({ body }) => this.#hear(body.id));
    const goodbyes = fleet.listen(subject.deregister, Goodbye, ({ body }) => this.#remove([body.id]));
    const sweep = setInterval(() => this.#dropSilent(lostAfterMs), lostAfterMs);
    this.#ends = [...[announcements, beats, goodbyes].map((s) => () => s.unsubscribe()), () => clearInterval(sweep)];
  }

  async announceAgain(): Promise<void> {
    const { value = {} } = await this.#memory.read(KEY, Known);
    for (const announcement of Object.values(value)) {
      this.#fleet.send(subject.announce, announcement, contextOfItsOwn());
    }
  }

  /** What was heard is remembered before. */
  async close(): Promise<void> {
    for (const end of this.#ends) end();
    await this.#inOrder;
  }

  #hear(id: string): void {
    this.#heardAt.set(id, performance.now());
  }

  #add(announcement: Announcement): void {
    this.#hear(announcement.id);
    this.#change((known) => {
      const isKnown = JSON.stringify(known[announcement.id]) === JSON.stringify(announcement);
      if (isKnown || Object.keys(known).length >= EXTENSIONS_MAX) return known;
      return { ...known, [announcement.id]: announcement };
    });
  }

  #remove(ids: readonly string[]): void {
    for (const id of ids) this.#heardAt.delete(id);
    this.#change((known) => {
      if (!ids.some((id) => id in known)) return known;
      return Object.fromEntries(Object.entries(known).filter(([id]) => !ids.includes(id)));
    });
  }

  #dropSilent(lostAfterMs: number): void {
    const before = performance.now() - lostAfterMs;
    const silent = [...this.#heardAt].filter(([, heardAt]) => heardAt < before).map(([id]) => id);
    if (silent.length > 0) this.#remove(silent);
  }

  #change(change: (known: Known) => Known): void {
    this.#inOrder = this.#inOrder
      .then(() => this.#memory.update(KEY, Known, (known) => change(known ?? {})))
      // It announces itself to whoever takes over, or is unknown there until it does.
      .catch((fault: unknown) => console.error("an extension could not be remembered:", fault));
  }
}
