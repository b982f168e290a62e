/**
 * Text of tasks and agents on its way to a terminal. It was written by strangers: an escape sequence in it could
 * rewrite the screen, and a character may take no column or two.
 */

/** Without control characters and marks that turn the direction of writing; line feeds and tabs become blanks. */
export function oneLine(text: string): string {
  return text.replace(/\s+/gu, " ").replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, "?");
}

/** The same for text that may have lines of its own. */
export function printableLines(text: string): readonly string[] {
  return text
    .split(/\r\n|[\n\r\u2028\u2029]/u)
    .map((line) => line.replaceAll("\t", "  ").replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, "?"));
}

const takesNoColumn = /^[\p{Mn}\p{Me}]$/u;
const takesTwoColumns =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]$/u;

const columnsOf = (character: string): number =>
  character < "\u0300" ? 1 : takesNoColumn.test(character) ? 0 : takesTwoColumns.test(character) ? 2 : 1;

export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** At most `width` columns; what was cut ends in an ellipsis. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let keptWidth = 0;
  for (const character of text) {
    keptWidth += columnsOf(character);
    if (keptWidth > width - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

export function padTo(text: string, width: number, align: "left" | "right"): string {
  const blanks = " ".repeat(Math.max(0, width - widthOf(text)));
  return align === "left" ? text + blanks : blanks + text;
}
