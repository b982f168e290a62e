/** The JSON that a verb of workflows takes along: from an option, a file or standard input. */
import type { Command } from "commander";
import { Option } from "commander";

export interface InputOptions {
  readonly input?: string;
  readonly inputFile?: string;
}

export function withInputOptions(command: Command, what: string): Command {
  return command
    .addOption(new Option("--input <json>", what).conflicts("inputFile"))
    .option("--input-file <file>", "a file with it; - is standard input");
}

/** @throws PerdureError USAGE for what is no JSON */
export async function inputOf({ input, inputFile }: InputOptions): Promise<unknown> {
  const { parseJson, readSource } = await import("./json-input.js");
  if (input !== undefined) return parseJson({ name: "--input", text: input });
  return inputFile === undefined ? undefined : parseJson(await readSource(inputFile));
}
