/** JSON that a person hands in: from an option, a file or stdin, and where it is none. */
import { readFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import { PerdureError } from "../errors.js";
import { findJsonFault } from "./json-fault.js";
import { cutTo, oneLine } from "./terminal-text.js";

export interface SourceText {
  /** For messages: "--input", "tasks.json", "standard input". */
  readonly name: string;
  readonly text: string;
}

/** @throws PerdureError USAGE for a file that cannot be read. `-` is standard input. */
export async function readSource(path: string): Promise<SourceText> {
  if (path === "-") return { name: "standard input", text: await textOf(process.stdin) };
  try {
    return { name: path, text: await readFile(path, "utf8") };
  } catch (cause) {
    throw new PerdureError("USAGE", `cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      details: { path },
      cause,
    });
  }
}

/** @throws PerdureError USAGE that names the line and column where the text stops being JSON. */
export function parseJson({ name, text }: SourceText, firstLine = 1): unknown {
  // A byte order mark is what some editors put first, and no JSON.
  const json = text.replace(/^\ufeff/, "");
  try {
    return JSON.parse(json);
  } catch (cause) {
    const { offset, expected } = findJsonFault(json) ?? { offset: json.length, expected: "JSON" };
    const lines = json.slice(0, offset).split("\n");
    const line = firstLine + lines.length - 1;
    const column = (lines.at(-1) ?? "").length + 1;
    const rest = json.slice(offset).trimStart();
    const found = rest === "" ? "the end" : `${oneLine(cutTo(rest.slice(0, 21), 20))}`;
    throw new PerdureError(
      "USAGE",
      `${name} is not JSON: expected ${expected} at line ${line}, column ${column}, and found ${found}`,
      { details: { line, column, offset }, cause },
    );
  }
}
