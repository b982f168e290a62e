/** The system's events for any number of streams: one subscription, one decoding, while somebody listens. */
import type { Client } from "../client/client.js";
import type { SystemEvent } from "../client/system-events.js";

export type EventListener = (event: SystemEvent) => void;

export class EventFeed {
  readonly #client: () => Client;
  readonly #listeners = new Set<EventListener>();
  #unsubscribe: () => void = () => undefined;

  constructor(client: () => Client) {
    this.#client = client;
  }

  /** From now on; returns what ends it. @throws PerdureError NOT_READY while there is no client */
  listen(listener: EventListener): () => void {
    if (this.#listeners.size === 0) {
      const subscription = this.#client().onEvent((event) => {
        for (const each of this.#listeners) each(event);
      });
      this.#unsubscribe = () => subscription.unsubscribe();
    }
    this.#listeners.add(listener);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#unsubscribe();
    };
  }
}
