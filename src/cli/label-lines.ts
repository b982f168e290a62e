import type { Style } from "./style.js";
import { padTo } from "./terminal-text.js";

/** A label and its value a line; a value that does not apply leaves its line out. */
export type Labelled = readonly [label: string, value: string | undefined];

const LABEL_WIDTH = 14;

export function labelLines(labelled: readonly Labelled[], style: Style): readonly string[] {
  return labelled.flatMap(([label, value]) =>
    value === undefined ? [] : [`${style.paint("dim", padTo(label, LABEL_WIDTH, "left"))}${value}`],
  );
}
