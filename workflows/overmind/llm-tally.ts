/** Requests to language models, counted for Prometheus since this process began; a scraper knows of restarts. */
import { lineOf, OTHER } from "./bounded-names.js";
import type { Family, Sample } from "./exposition.js";
import type { LLMRequest } from "./messages.js";
import { RecentIds } from "./recent-ids.js";

interface ModelTally {
  readonly labels: { readonly provider: string; readonly model: string };
  readonly byStatus: Record<LLMRequest["status"], number>;
  prompt: number;
  completion: number;
  cost: number;
  readonly latencyCounts: number[];
  latencySeconds: number;
}

/** Seconds: from an answer out of a cache to one that somebody has given up on. */
const LATENCY_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Names come from messages; a series for each must not fill a scraper's memory. */
const MODELS_MAX = 200;
const other = { provider: OTHER, model: OTHER };

export class LlmTally {
  readonly #models = new Map<string, ModelTally>();
  readonly #recent = new RecentIds();

  /** A message that comes again, or is told again, changes nothing. */
  count(request: LLMRequest): void {
    if (!this.#recent.add(request.status, request.requestId)) return;
    const tally = this.#tallyOf(request);
    tally.byStatus[request.status] += 1;
    // Tokens, cost and latency of a request that has only begun are not known.
    if (request.status === "started") return;
    tally.prompt += request.tokens.prompt;
    tally.completion += request.tokens.completion;
    tally.cost += request.cost;
    const seconds = request.latency / 1_000;
    const bucket = LATENCY_BOUNDS.findIndex((bound) => seconds <= bound);
    const index = bucket === -1 ? LATENCY_BOUNDS.length : bucket;
    tally.latencyCounts[index] = (tally.latencyCounts[index] ?? 0) + 1;
    tally.latencySeconds += seconds;
  }

  families(): readonly Family[] {
    const tallies = [...this.#models.values()];
    const labelled = (samplesOf: (tally: ModelTally) => readonly (readonly [Sample["labels"], number])[]): Sample[] =>
      tallies.flatMap((tally) =>
        samplesOf(tally).map(([labels, value]) => ({ labels: { ...tally.labels, ...labels }, value })),
      );
    return [
      {
        type: "counter",
        name: "overmind_llm_requests_total",
        help: "Requests by what became of them; one that has ended was counted as started before.",
        samples: labelled(({ byStatus }) => Object.entries(byStatus).map(([status, count]) => [{ status }, count])),
      },
      {
        type: "counter",
        name: "overmind_llm_tokens_total",
        help: "Tokens of requests that have ended.",
        samples: labelled(({ prompt, completion }) => [
          [{ kind: "prompt" }, prompt],
          [{ kind: "completion" }, completion],
        ]),
      },
      {
        type: "counter",
        name: "overmind_llm_cost_dollars_total",
        help: "What requests that have ended cost.",
        samples: labelled(({ cost }) => [[{}, cost]]),
      },
      {
        type: "histogram",
        name: "overmind_llm_request_duration_seconds",
        help: "How long requests took that have ended.",
        bounds: LATENCY_BOUNDS,
        distributions: tallies.map(({ labels, latencyCounts, latencySeconds }) => ({
          labels,
          counts: latencyCounts,
          sum: latencySeconds,
        })),
      },
    ];
  }

  #tallyOf(request: LLMRequest): ModelTally {
    const [provider, model] = [lineOf(request.provider), lineOf(request.model)];
    const isNew = !this.#models.has(JSON.stringify([provider, model]));
    const labels = isNew && this.#models.size >= MODELS_MAX ? other : { provider, model };
    const key = JSON.stringify([labels.provider, labels.model]);
    const known = this.#models.get(key);
    if (known !== undefined) return known;
    const tally: ModelTally = {
      labels,
      byStatus: { started: 0, completed: 0, failed: 0 },
      prompt: 0,
      completion: 0,
      cost: 0,
      latencyCounts: new Array<number>(LATENCY_BOUNDS.length + 1).fill(0),
      latencySeconds: 0,
    };
    this.#models.set(key, tally);
    return tally;
  }
}
