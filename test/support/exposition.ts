/**
 * Prometheus' text format, read as strictly as it is specified and stricter: what a lenient scraper would let pass is an
 * error here. https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ExposedSample[];
}

export interface ExposedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const HELP_LINE = new RegExp(`^# HELP (${NAME}) (.+)$`);
const TYPE_LINE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary)$`);
const SAMPLE_LINE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?=[a-zA-Z_])|$)/;
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]Inf)$/;

export class Exposition {
  readonly families = new Map<string, Family>();

  /** @throws Error that names the line, for whatever is not as specified */
  constructor(text: string) {
    if (!text.endsWith("\n")) throw new Error("the last line has no end");
    let family: { name: string; type: string; help: string; samples: ExposedSample[] } | null = null;
    let help: { readonly name: string; readonly text: string } | null = null;
    const seen = new Set<string>();
    for (const line of text.slice(0, -1).split("\n")) {
      if (line === "") continue;
      const helpLine = HELP_LINE.exec(line);
      if (helpLine !== null) {
        help = { name: textOf(helpLine[1]), text: textOf(helpLine[2]) };
        continue;
      }
      const typeLine = TYPE_LINE.exec(line);
      if (typeLine !== null) {
        const name = textOf(typeLine[1]);
        if (help?.name !== name) throw new Error(`no help before: ${line}`);
        if (this.families.has(name)) throw new Error(`a second time: ${line}`);
        family = { name, type: textOf(typeLine[2]), help: help.text, samples: [] };
        this.families.set(name, family);
        continue;
      }
      const sample = sampleOf(line);
      if (family === null || !belongsTo(family, sample)) throw new Error(`not behind its type: ${line}`);
      const series = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (seen.has(series)) throw new Error(`a second time: ${line}`);
      seen.add(series);
      family.samples.push(sample);
    }
    for (const checked of this.families.values()) check(checked);
  }

  /** Undefined where there is no such series; label values that are not named may be any, but one series must fit. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const family = this.families.get(name) ?? this.families.get(name.replace(/_(bucket|sum|count)$/, ""));
    const fitting = (family?.samples ?? []).filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    if (fitting.length > 1) throw new Error(`${fitting.length} series of ${name} fit ${JSON.stringify(labels)}`);
    return fitting[0]?.value;
  }
}

function sampleOf(line: string): ExposedSample {
  const parts = SAMPLE_LINE.exec(line);
  if (parts === null) throw new Error(`neither comment nor sample: ${line}`);
  const [, name, labelText = "", valueText] = parts;
  if (!NUMBER.test(textOf(valueText))) throw new Error(`no number: ${line}`);
  const labels: Record<string, string> = {};
  let rest = labelText;
  while (rest !== "") {
    const label = LABEL.exec(rest);
    if (label === null) throw new Error(`labels: ${line}`);
    const [whole, labelName, value] = label;
    if (textOf(labelName) in labels) throw new Error(`a label twice: ${line}`);
    labels[textOf(labelName)] = textOf(value).replaceAll(/\\(["\\n])/g, (_, letter) =>
      letter === "n" ? "\n" : letter,
    );
    rest = rest.slice(whole.length);
  }
  return { name: textOf(name), labels, value: Number(textOf(valueText).replace("Inf", "Infinity")) };
}

function belongsTo({ name, type }: Family, sample: ExposedSample): boolean {
  if (type !== "histogram") return sample.name === name;
  return [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample.name);
}

function check(family: Family): void {
  if (family.type === "counter") {
    for (const { value } of family.samples) {
      if (!(value >= 0 && Number.isFinite(value))) throw new Error(`counter ${family.name} is ${value}`);
    }
  }
  if (family.type === "histogram") checkHistogram(family);
}

function checkHistogram({ name, samples }: Family): void {
  const groups = new Map<string, ExposedSample[]>();
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels;
    const key = JSON.stringify(Object.entries(labels).sort());
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number(labels["le"]?.replace("Inf", "Infinity")));
    const counts = buckets.map(({ value }) => value);
    const ascends = (values: readonly number[]) => values.every((value, index) => value >= (values[index - 1] ?? -1));
    if (!ascends(bounds) || new Set(bounds).size !== bounds.length) throw new Error(`buckets of ${name}: ${bounds}`);
    if (!ascends(counts)) throw new Error(`${name} counts ${counts}`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name} has no bucket for all`);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    if (count !== counts.at(-1)) throw new Error(`${name} counts ${count} and ${counts.at(-1)}`);
    if (!group.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name} has no sum`);
  }
}

function textOf(part: string | undefined): string {
  return part ?? "";
}
