/**
 * Rows in columns, as wide as the terminal at most. What does not fit is taken from the least important columns: first
 * they are cut short, then left out. A column in which no row has anything to say is left out as well.
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
  /** What is left of a column that gave way, before it goes altogether. Default: its heading. */
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

function narrowed<R>(wanted: readonly LaidOut<R>[], width: number): readonly LaidOut<R>[] {
  const inOrder = wanted
    .filter(({ column }) => column.givesWay !== undefined)
    .sort((a, b) => (a.column.givesWay ?? 0) - (b.column.givesWay ?? 0))
    .map(({ column }) => column);
  let fitted = wanted;
  for (const column of inOrder) {
    const excess = totalWidth(fitted) - width;
    if (excess <= 0) return fitted;
    const widthMin = column.widthMin ?? column.heading.length;
    fitted = fitted.map((laid) =>
      laid.column === column ? { ...laid, width: Math.max(Math.min(widthMin, laid.width), laid.width - excess) } : laid,
    );
  }
  for (const column of inOrder) {
    if (totalWidth(fitted) <= width) return fitted;
    fitted = fitted.filter((laid) => laid.column !== column);
  }
  return fitted;
}

function totalWidth<R>(laidOut: readonly LaidOut<R>[]): number {
  return laidOut.reduce((sum, { width }) => sum + width, 0) + GAP.length * (laidOut.length - 1);
}
