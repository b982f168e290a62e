/**
 * Rows in columns, as wide as the terminal at most. What does not fit is taken from the least important columns: they
 * are cut short, or left out where that is not enough. A column in which no row has anything to say is left out as well.
 */
import type { Paint, Style } from "./style.js";
import { cutTo, oneLine, padTo, widthOf } from "./terminal-text.js";

export interface Column<R> {
  readonly heading: string;
  readonly cell: (row: R) => string;
  readonly align?: "left" | "right";
  readonly paint?: (row: R) => Paint | undefined;
  /** Who gives way first: 1 before 2. A column without a number never does. */
  readonly givesWay?: number;
  /** What it is cut down to at most. One without is not cut but left out: half a number says nothing. */
  readonly widthMin?: number;
}

interface LaidOut<R> {
  readonly column: Column<R>;
  readonly cells: readonly string[];
  readonly width: number;
}

const GAP = "  ";

/** Lines without trailing blanks, the headings first. */
export function tableLines<R>(rows: readonly R[], columns: readonly Column<R>[], style: Style): readonly string[] {
  const laidOut = narrowed(columns.map((column) => natural(column, rows)).filter(hasSomethingToSay), style.width);
  const line = (text: (laid: LaidOut<R>) => string, paint: (laid: LaidOut<R>) => Paint | undefined): string =>
    laidOut
      .map((laid, index) => {
        const cell = padTo(cutTo(text(laid), laid.width), laid.width, laid.column.align ?? "left");
        return style.paint(paint(laid), index === laidOut.length - 1 ? cell.trimEnd() : cell);
      })
      .join(GAP)
      .trimEnd();
  return [
    line(
      ({ column }) => column.heading.toUpperCase(),
      () => "bold",
    ),
    ...rows.map((row, index) =>
      line(
        ({ cells }) => cells[index] ?? "",
        ({ column }) => column.paint?.(row),
      ),
    ),
  ];
}

function natural<R>(column: Column<R>, rows: readonly R[]): LaidOut<R> {
  const cells = rows.map((row) => oneLine(column.cell(row)));
  return { column, cells, width: cells.reduce((width, cell) => Math.max(width, widthOf(cell)), column.heading.length) };
}

function hasSomethingToSay<R>({ cells }: LaidOut<R>): boolean {
  return cells.length === 0 || cells.some((cell) => cell !== "");
}

/** Cuts columns in the order in which they give way; when that is not enough, the first of them goes. */
function narrowed<R>(wanted: readonly LaidOut<R>[], width: number): readonly LaidOut<R>[] {
  const inOrder = wanted
    .filter(({ column }) => column.givesWay !== undefined)
    .sort((a, b) => (a.column.givesWay ?? 0) - (b.column.givesWay ?? 0));
  let excess = totalWidth(wanted) - width;
  const cut = new Map<LaidOut<R>, number>();
  for (const laid of inOrder) {
    const widthMin = Math.min(laid.width, laid.column.widthMin ?? laid.width);
    const given = Math.min(Math.max(0, excess), laid.width - widthMin);
    cut.set(laid, given);
    excess -= given;
  }
  const [first] = inOrder;
  if (excess > 0 && first !== undefined) {
    return narrowed(
      wanted.filter((laid) => laid !== first),
      width,
    );
  }
  return wanted.map((laid) => ({ ...laid, width: laid.width - (cut.get(laid) ?? 0) }));
}

function totalWidth<R>(laidOut: readonly LaidOut<R>[]): number {
  return laidOut.reduce((sum, { width }) => sum + width, 0) + GAP.length * (laidOut.length - 1);
}
