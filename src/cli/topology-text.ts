/** What separates a topology from the server, for people: a line for each entry that differs, and one for each setting. */
import type { SettingChange, TopologyChange } from "../jetstream/topology-change.js";
import type { Paint, Style } from "./style.js";
import { oneLine, padTo } from "./terminal-text.js";

interface Words extends Readonly<Record<TopologyHeading["tense"], string>> {
  readonly sign: string;
  readonly paint: Paint;
}

/** In the order of the summary. */
const signs = {
  create: { sign: "+", paint: "green", done: "created", toDo: "to create" },
  update: { sign: "~", paint: "yellow", done: "updated", toDo: "to update" },
  replace: { sign: "!", paint: "red", done: "replaced", toDo: "to replace" },
} as const satisfies Partial<Record<TopologyChange["action"], Words>>;

export interface TopologyHeading {
  readonly name: string;
  readonly server: string;
  readonly tense: "toDo" | "done";
}

export function topologyLines(
  { name, server, tense }: TopologyHeading,
  changes: readonly TopologyChange[],
  style: Style,
): readonly string[] {
  return [
    style.paint("bold", `topology ${oneLine(name)} on ${server}`),
    ...changes.flatMap((change) => changeLines(change, style)),
    summary(changes, tense),
  ];
}

function changeLines(change: TopologyChange, style: Style): readonly string[] {
  const { kind, name, stream, action, settings, losesData, lowered, undeclared } = change;
  const where = stream === undefined ? "" : ` of ${stream}`;
  const width = Math.max(0, ...settings.map(({ setting }) => setting.length));
  const notes = [
    ...(losesData === undefined ? [] : [style.paint("red", `  loses data: ${oneLine(losesData)}`)]),
    ...(lowered === undefined
      ? []
      : [style.paint("yellow", `  replicas: 1 instead of ${lowered.from}, because the server is not clustered`)]),
    ...(undeclared === undefined ? [] : [style.paint("dim", `  not declared, left alone: ${undeclared.join(", ")}`)]),
  ];
  if (action === "none") return notes.length === 0 ? [] : [`  ${kind} ${name}${where}`, ...notes];
  const { sign, paint } = signs[action];
  return [
    style.paint(paint, `${sign} ${kind} ${name}${where}`),
    ...settings.map((changed) => `    ${padTo(changed.setting, width, "left")}  ${settingText(changed, action)}`),
    ...notes,
  ];
}

function settingText({ setting, found, wanted }: SettingChange, action: TopologyChange["action"]): string {
  const to = oneLine(valueText(setting, wanted));
  return action === "create" || found === null ? to : `${oneLine(valueText(setting, found))} -> ${to}`;
}

const durations: ReadonlySet<string> = new Set(["maxAge", "duplicateWindow", "ackWait", "backoff", "ttl"]);

function valueText(setting: string, value: unknown): string {
  if (value === null) return "none";
  if (Array.isArray(value)) return value.map((item) => valueText(setting, item)).join(", ");
  return durations.has(setting) && typeof value === "number" ? exactDuration(value) : String(value);
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** In the largest unit that does it without a rest, as a declaration would have it. */
function exactDuration(ms: number): string {
  const [unit, size] = units.find(([, length]) => ms % length === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}

function summary(changes: readonly TopologyChange[], tense: TopologyHeading["tense"]): string {
  const count = (action: string): number => changes.filter((change) => change.action === action).length;
  const counts = Object.entries(signs).flatMap(([action, words]) =>
    count(action) === 0 ? [] : [`${count(action)} ${words[tense]}`],
  );
  return [...counts, `${count("none")} as declared`].join(", ");
}
