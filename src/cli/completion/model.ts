/**
 * What can be typed, taken from the program itself: verbs, their options and arguments, and what each value may be. The
 * name between the brackets says which kind of value it is: `<taskId>`, `<file>`.
 */
import type { Argument, Command, Option } from "commander";

/** Where the values of an option or argument come from. "free": nobody knows them. */
export type ValueKind =
  | { readonly kind: "choices"; readonly choices: readonly string[] }
  | { readonly kind: "file" | "folder" | "verb" | "free" }
  | { readonly kind: "ids"; readonly of: IdKind };

/** What `perdure ids` lists. */
export const idKinds = ["task", "agent", "context"] as const;
export type IdKind = (typeof idKinds)[number];

export interface CompletedOption {
  /** `--server`, `-h` */
  readonly flags: readonly string[];
  readonly description: string;
  /** Null for one without a value. */
  readonly value: ValueKind | null;
  /** Takes values until the next option. */
  readonly takes: "one" | "several";
}

export interface CompletedArgument {
  readonly value: ValueKind;
  readonly takes: "one" | "several";
}

export interface CompletedVerb {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  readonly arguments: readonly CompletedArgument[];
}

export interface CompletionModel {
  readonly program: string;
  /** Those of every verb. */
  readonly options: readonly CompletedOption[];
  /** Of these, those that say which server to ask for ids, and as whom. */
  readonly connectionFlags: readonly string[];
  readonly verbs: readonly CompletedVerb[];
}

export function completionModelOf(program: Command): CompletionModel {
  const help = program.createHelp();
  const options = help.visibleOptions(program).map(completedOption);
  return {
    program: program.name(),
    options,
    connectionFlags: options.flatMap(({ flags }) => flags).filter((flag) => !aboutThisCall.has(flag)),
    verbs: help.visibleCommands(program).map((verb) => ({
      name: verb.name(),
      description: verb.description(),
      // --help is one of the program's.
      options: help.visibleOptions(verb).filter(isOfVerb).map(completedOption),
      arguments: verb.registeredArguments.map(completedArgument),
    })),
  };
}

const aboutThisCall: ReadonlySet<string> = new Set(["--timeout", "--version", "-h", "--help"]);

const isOfVerb = ({ long }: Option): boolean => long !== "--help";

function completedOption(option: Option): CompletedOption {
  const { short, long, description, argChoices, variadic } = option;
  const [, placeholder] = /[<[]([^>\].]+)/.exec(option.flags) ?? [];
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    description,
    value: placeholder === undefined ? null : valueKind(placeholder, argChoices),
    takes: variadic ? "several" : "one",
  };
}

function completedArgument(argument: Argument): CompletedArgument {
  return {
    value: valueKind(argument.name(), argument.argChoices),
    takes: argument.variadic ? "several" : "one",
  };
}

const kindByPlaceholder: Readonly<Record<string, ValueKind>> = {
  taskId: { kind: "ids", of: "task" },
  taskIds: { kind: "ids", of: "task" },
  workflowId: { kind: "ids", of: "task" },
  workflowIds: { kind: "ids", of: "task" },
  agentId: { kind: "ids", of: "agent" },
  context: { kind: "ids", of: "context" },
  verb: { kind: "verb" },
  file: { kind: "file" },
  files: { kind: "file" },
  history: { kind: "file" },
  folder: { kind: "folder" },
};

function valueKind(placeholder: string, choices: readonly string[] | undefined): ValueKind {
  if (choices !== undefined) return { kind: "choices", choices };
  return kindByPlaceholder[placeholder] ?? { kind: "free" };
}
