import { oneLine } from "./terminal-text.js";

/** What is said to people: stderr, one line each, so that stdout holds nothing but what was asked for. */
export function say(sentence: string): void {
  process.stderr.write(`perdure: ${oneLine(sentence)}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}
