/** The latest routing decisions, in memory: what the API server shows. */
import type { Consumption, Fleet, Received } from "perdure/bridges";
import { RoutingDecision } from "./messages.js";
import { RecentIds } from "./recent-ids.js";

export interface ShownDecision extends RoutingDecision {
  readonly subject: string;
  readonly sequence: number;
}

const KEPT_MAX = 1_000;

export class LatestDecisions {
  /** Oldest first, by sequence. */
  readonly #decisions: ShownDecision[] = [];
  readonly #recent = new RecentIds();

  /** Consumes from where any API server before has stopped. */
  start(fleet: Fleet): Promise<Consumption> {
    return fleet.consume({
      stream: "routing-decisions",
      consumer: "api-consumer",
      schema: RoutingDecision,
      ack: "onHandled",
      maxConcurrent: 100,
      handle: (message) => this.#keep(message),
    });
  }

  /** Newest first. */
  list({ limit, model }: { readonly limit: number; readonly model: string | undefined }): readonly ShownDecision[] {
    const fitting = model === undefined ? this.#decisions : this.#decisions.filter((d) => d.selectedModel === model);
    return fitting.slice(-limit).reverse();
  }

  #keep({ body, subject, stored }: Received<RoutingDecision>): void {
    if (!this.#recent.add(subject, body.requestId)) return;
    const sequence = stored?.sequence ?? 0;
    // What was delivered again goes to its place among those that came meanwhile.
    const place = this.#decisions.findLastIndex((decision) => decision.sequence < sequence);
    this.#decisions.splice(place + 1, 0, { ...body, subject, sequence });
    if (this.#decisions.length > KEPT_MAX) this.#decisions.shift();
  }
}
