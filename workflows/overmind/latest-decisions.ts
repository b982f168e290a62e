/** The latest routing decisions, in memory: what the API server shows. */
import type { Consumption, Fleet, Received } from "perdure/bridges";
import { RoutingDecision } from "./messages.js";
import { RecentIds } from "./recent-ids.js";

export interface ShownDecision extends RoutingDecision {
  readonly subject: string;
  readonly sequence: number;
}

const KEPT_MAX = 1_000;
/** A decision may be as large as a message, and an answer that shows all of them must fit into a string. */
const KEPT_BYTES_MAX = 32 * 1024 * 1024;

export class LatestDecisions {
  /** Oldest first, by sequence. */
  readonly #kept: { readonly decision: ShownDecision; readonly bytes: number }[] = [];
  readonly #recent = new RecentIds();
  #bytes = 0;

  /** Consumes from where any API server before has stopped. */
  start(fleet: Fleet): Promise<Consumption> {
    return fleet.consume({
      stream: "routing-decisions",
      consumer: "api-consumer",
      schema: RoutingDecision,
      ack: "onHandled",
      maxConcurrent: 100,
      handle: (message) => this.keep(message),
    });
  }

  /** Newest first. */
  list({ limit, model }: { readonly limit: number; readonly model: string | undefined }): readonly ShownDecision[] {
    const fitting = this.#kept.filter(({ decision }) => model === undefined || decision.selectedModel === model);
    return fitting
      .slice(-limit)
      .map(({ decision }) => decision)
      .reverse();
  }

  keep({ body, subject, stored }: Pick<Received<RoutingDecision>, "body" | "subject" | "stored">): void {
    if (!this.#recent.add(subject, body.requestId)) return;
    const sequence = stored?.sequence ?? 0;
    // What was delivered again goes to its place among those that came meanwhile.
    const place = this.#kept.findLastIndex(({ decision }) => decision.sequence < sequence);
    const decision = { ...body, subject, sequence };
    const bytes = JSON.stringify(decision).length;
    this.#kept.splice(place + 1, 0, { decision, bytes });
    this.#bytes += bytes;
    while (this.#kept.length > KEPT_MAX || this.#bytes > KEPT_BYTES_MAX) {
      this.#bytes -= this.#kept.shift()?.bytes ?? 0;
    }
  }
}
