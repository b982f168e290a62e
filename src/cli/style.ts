import type { Environment } from "./environment.js";

export type Paint = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

const codes: Readonly<Record<Paint, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** How text for people is laid out where it goes. */
export interface Style {
  /** Columns; Infinity where nobody says how many: a pipe or a file gets everything. */
  readonly width: number;
  paint(paint: Paint | undefined, text: string): string;
}

/** Asked anew for each picture, because a terminal is resized. */
export function styleOf(stream: NodeJS.WriteStream, environment: Environment): Style {
  const painted = stream.isTTY && environment.colour === "wanted" && environment.terminal === "capable";
  return {
    width: stream.isTTY && stream.columns > 0 ? stream.columns : Number.POSITIVE_INFINITY,
    paint: (paint, text) =>
      painted && paint !== undefined && text !== "" ? `\u001b[${codes[paint]}m${text}\u001b[0m` : text,
  };
}
