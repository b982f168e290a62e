/** How a verb prints what it found: for people, or for programs. */
import { type Command, Option } from "commander";

export interface FormatOptions {
  readonly json?: true;
  readonly jsonl?: true;
}

/** `json` is one document, `jsonl` one object a line as soon as it is known. */
export type Format = "text" | "json" | "jsonl";

export function withFormatOptions(command: Command): Command {
  return command
    .addOption(new Option("--json", "print one JSON document instead of a text for people").conflicts("jsonl"))
    .option("--jsonl", "print JSON, one object a line");
}

export function formatOf({ json, jsonl }: FormatOptions): Format {
  return json === true ? "json" : jsonl === true ? "jsonl" : "text";
}

/** Before commander has read anything, so that its own complaints have the form that was asked for. */
export function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end === -1 ? args : args.slice(0, end)).some((arg) => arg === "--json" || arg === "--jsonl");
}
