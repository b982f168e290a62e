/** Clients that wait for the answer to a query or an update. In memory only; one whose leader died asks again. */
import type { AskedOutcome } from "../machines/effect.js";

interface Waiting {
  readonly onOutcome: (outcome: AskedOutcome) => "answered" | "waits on";
  readonly timer: NodeJS.Timeout;
}

export class AskedQuestions {
  readonly #waiting = new Map<string, Set<Waiting>>();

  /** @param onOutcome told each outcome until it says that it has answered; `onTimeout` at the latest after `timeoutMs` */
  add(askedId: string, timeoutMs: number, onOutcome: Waiting["onOutcome"], onTimeout: () => void): void {
    const all = this.#waiting.get(askedId) ?? new Set();
    this.#waiting.set(askedId, all);
    const waiting: Waiting = {
      onOutcome,
      timer: setTimeout(() => {
        this.#remove(askedId, waiting);
        onTimeout();
      }, timeoutMs),
    };
    all.add(waiting);
  }

  settle(askedId: string, outcome: AskedOutcome): void {
    for (const waiting of [...(this.#waiting.get(askedId) ?? [])]) {
      if (waiting.onOutcome(outcome) === "waits on") continue;
      this.#remove(askedId, waiting);
    }
  }

  /** The term ends: whoever waits asks the next leader. */
  dismissAll(): void {
    for (const askedId of [...this.#waiting.keys()]) {
      this.settle(askedId, { state: "runClosed", message: "this orchestrator does not lead any more; ask again" });
      for (const waiting of [...(this.#waiting.get(askedId) ?? [])]) this.#remove(askedId, waiting);
    }
  }

  #remove(askedId: string, waiting: Waiting): void {
    clearTimeout(waiting.timer);
    const all = this.#waiting.get(askedId);
    all?.delete(waiting);
    if (all?.size === 0) this.#waiting.delete(askedId);
  }
}
