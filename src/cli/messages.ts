import type { PerdureError } from "../errors.js";
import { oneLine } from "./terminal-text.js";

/** With `--json` or `--jsonl` each line of stderr is JSON as well: whoever parses one parses the other. */
let form: "text" | "json" = "text";

export function sayInJson(): void {
  form = "json";
}

/** What is said to people: stderr, one line each, so that stdout holds nothing but what was asked for. */
export function say(sentence: string): void {
  write(form === "text" ? `perdure: ${oneLine(sentence)}` : JSON.stringify({ notice: sentence }));
}

/** A fault that was to be expected, in JSON in the shape that requests are refused in. */
export function sayFault({ code, message, details }: Pick<PerdureError, "code" | "message" | "details">): void {
  write(
    form === "text" ? `perdure: ${code}: ${oneLine(message)}` : JSON.stringify({ error: { code, message, details } }),
  );
}

/** A fault of this program: the whole stack, because somebody has to find it. */
export function sayBug(fault: unknown): void {
  const message = "this is a bug in perdure; please report it with what follows";
  const stack = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
  write(
    form === "text" ? `perdure: ${message}\n${stack}` : JSON.stringify({ error: { code: "INTERNAL", message, stack } }),
  );
}

function write(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}
