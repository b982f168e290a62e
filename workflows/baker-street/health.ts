/** Beats on `baker.system.health`, and who is to be heard of there. */
import type { Fleet } from "perdure/bridges";
import { HealthBeat, subject } from "./messages.js";
import { contextOfItsOwn } from "./tracing.js";

export interface BeatOptions {
  /** `brain`, `worker`, `extension`, `pods`. */
  readonly service: string;
  readonly id: string;
  readonly intervalMs: number;
  /** More to say with each beat. */
  readonly also?: () => Readonly<Record<string, unknown>>;
}

/** Beats at once and then at the interval. Returns what ends it. */
export function beat(fleet: Fleet, { service, id, intervalMs, also = () => ({}) }: BeatOptions): () => void {
  const send = (): void => {
    const timestamp = new Date().toISOString();
    fleet.send(subject.health, { service, id, status: "ok", intervalMs, timestamp, ...also() }, contextOfItsOwn());
  };
  send();
  const timer = setInterval(send, intervalMs);
  return () => clearInterval(timer);
}

export interface ServiceHealth {
  readonly service: string;
  readonly id: string;
  /** What it said last, or `silent` after three intervals without a word. */
  readonly status: string;
  readonly silentMs: number;
}

const INTERVALS_UNTIL_SILENT = 3;
const SERVICES_MAX = 1_000;

export class HealthMonitor {
  readonly #last = new Map<string, { readonly beat: HealthBeat; readonly heardAt: number }>();
  readonly #stop: () => void;

  constructor(fleet: Fleet, onBeat: (beat: HealthBeat) => void = () => undefined) {
    const subscription = fleet.listen(subject.health, HealthBeat, ({ body }) => {
      const key = `${body.service} ${body.id}`;
      // Behind all others, so that the first is the one that was silent for longest.
      this.#last.delete(key);
      this.#last.set(key, { beat: body, heardAt: performance.now() });
      const [longestSilent] = this.#last.keys();
      if (this.#last.size > SERVICES_MAX && longestSilent !== undefined) this.#last.delete(longestSilent);
      onBeat(body);
    });
    this.#stop = () => subscription.unsubscribe();
  }

  services(): readonly ServiceHealth[] {
    const now = performance.now();
    return [...this.#last.values()].map(({ beat: { service, id, status, intervalMs }, heardAt }) => {
      const silentMs = Math.round(now - heardAt);
      return { service, id, status: silentMs > INTERVALS_UNTIL_SILENT * intervalMs ? "silent" : status, silentMs };
    });
  }

  close(): void {
    this.#stop();
  }
}
