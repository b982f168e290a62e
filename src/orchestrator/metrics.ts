/**
 * The metrics in Prometheus' text format. Nothing here runs until somebody asks: what they are made of is counted in
 * plain numbers, and read at the scrape.
 */
import { collectDefaultMetrics, type Metric, Registry } from "prom-client";
import type { Distribution } from "../core/distribution.js";
import type { Namespace } from "../protocol/ids.js";
import { type MetricRow, type MetricSources, metricTable } from "./metric-table.js";

/** What every Node process exports under names of its own; made once a process, for its observers are never taken down. */
let ofNode: Registry | null = null;

/** Between two scrapes that follow each other closely they are not a number, or nine thousand million seconds. */
const meaninglessWhenFresh = ["min", "mean", "stddev"].map((what) => `nodejs_eventloop_lag_${what}_seconds`);

export class Metrics {
  readonly #registry: Registry;
  /** Of the scrape under way: the registry reads every metric before it awaits anything. */
  #sources: MetricSources | null = null;

  constructor(namespace: Namespace) {
    const engine = new Registry();
    for (const row of metricTable) {
      const metric = { name: row.name, help: row.help, get: () => Promise.resolve(this.#read(row)) };
      // The registry asks nothing more of a metric than these; its own classes count for themselves, ours are read.
      engine.registerMetric(metric as unknown as Metric);
    }
    if (ofNode === null) {
      ofNode = new Registry();
      collectDefaultMetrics({ register: ofNode });
      for (const name of meaninglessWhenFresh) ofNode.removeSingleMetric(name);
    }
    this.#registry = Registry.merge([engine, ofNode]);
    this.#registry.setDefaultLabels({ namespace });
  }

  /** Content type `text/plain; version=0.0.4; charset=utf-8`. */
  render(sources: MetricSources): Promise<string> {
    this.#sources = sources;
    return this.#registry.metrics();
  }

  #read(row: MetricRow): object {
    const { name, help, type } = row;
    if (this.#sources === null) throw new Error(`metric ${name} was read outside a scrape`);
    const values =
      row.type === "histogram"
        ? row.read(this.#sources).flatMap(({ labels, value }) => seriesOf(name, labels, value))
        : row.read(this.#sources);
    return { name, help, type, values };
  }
}

/** A distribution as the cumulative buckets, the sum and the count of a histogram. */
function seriesOf(name: string, labels: object, { bounds, counts, sum }: Distribution): object[] {
  let below = 0;
  const buckets = counts.map((count, index) => {
    below += count;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: bounds[index] ?? "+Inf" }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: below },
  ];
}
