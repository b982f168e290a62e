/** The reference part of docs/command-line.md, drawn from the program that runs. */
import type { Command, Help, Option } from "commander";

export function verbsAsMarkdown(program: Command): string {
  const help = program.createHelp();
  const verbs = help.visibleCommands(program).filter((verb) => verb.name() !== "help");
  return [
    "### Options of every verb",
    "",
    ...optionTable(help, help.visibleOptions(program)),
    ...verbs.flatMap((verb) => ["", ...verbSection(help, verb)]),
  ].join("\n");
}

function verbSection(help: Help, verb: Command): readonly string[] {
  const options = help.visibleOptions(verb).filter(({ long }) => long !== "--help");
  const taken = verb.registeredArguments.map((argument) => {
    const text = help.argumentDescription(argument);
    return `- \`${argument.name()}\`: ${text}`;
  });
  return [
    `### perdure ${verb.name()}`,
    "",
    "```",
    help.commandUsage(verb),
    "```",
    "",
    `${capitalised(verb.description())}.`,
    ...(taken.length === 0 ? [] : ["", ...taken]),
    ...(options.length === 0 ? [] : ["", ...optionTable(help, options)]),
  ];
}

function optionTable(help: Help, options: readonly Option[]): readonly string[] {
  const rows = options.map((option) => {
    const text = help.optionDescription(option);
    return `| \`${option.flags}\` | ${text.replaceAll("|", "\\|").replaceAll("<", "&lt;")} |`;
  });
  return ["| option | |", "|---|---|", ...rows];
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
