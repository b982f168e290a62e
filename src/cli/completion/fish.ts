/** The completion script for fish. */
import type { CompletedOption, CompletionModel, ValueKind } from "./model.js";

export function fishScript({ program, options, connectionFlags, verbs }: CompletionModel): string {
  const names = verbs.map(({ name }) => name).join(" ");
  const valued = options
    .filter(({ value }) => value !== null)
    .flatMap(({ flags }) => flags)
    .filter((flag) => connectionFlags.includes(flag));
  const lines = [
    `# fish completion for ${program}. For good: ${program} completion fish > ~/.config/fish/completions/${program}.fish`,
    "",
    "# Ids from the server that the options typed so far name.",
    `function __${program}_ids`,
    "    set -l words (commandline -opc)",
    "    set -l where",
    "    set -l option",
    "    for word in $words[2..-1]",
    "        if set -q option[1]",
    "            set -a where $option $word",
    "            set -e option",
    `        else if contains -- $word ${valued.join(" ")}`,
    "            set option $word",
    `        else if contains -- (string replace -r '=.*' '' -- $word) ${connectionFlags.join(" ")}`,
    "            set -a where $word",
    "        end",
    "    end",
    `    ${program} ids $argv[1] $where 2>/dev/null`,
    "end",
    "",
    `complete -c ${program} -f`,
    ...options.map((option) => completeLine(program, option, [])),
    ...verbs.map(
      ({ name, description }) =>
        `complete -c ${program} -n ${quoted(`not __fish_seen_subcommand_from ${names}`)} -a ${name} -d ${quoted(description)}`,
    ),
    ...verbs.flatMap((verb) => {
      const seen = ["-n", quoted(`__fish_seen_subcommand_from ${verb.name}`)];
      return [
        ...verb.options.map((option) => completeLine(program, option, seen)),
        ...verb.arguments.flatMap(({ value }) => {
          const source = sourceOf(program, value, names);
          return source === null ? [] : [["complete", "-c", program, ...seen, ...source].join(" ")];
        }),
      ];
    }),
  ];
  return `${lines.join("\n")}\n`;
}

function completeLine(
  program: string,
  { flags, description, value }: CompletedOption,
  condition: readonly string[],
): string {
  const names = flags.flatMap((flag) => (flag.startsWith("--") ? ["-l", flag.slice(2)] : ["-s", flag.slice(1)]));
  const source = value === null ? [] : ["-r", ...(sourceOf(program, value, "") ?? ["-f"])];
  return ["complete", "-c", program, ...condition, ...names, ...source, "-d", quoted(description)].join(" ");
}

/** Null where nobody knows the values. */
function sourceOf(program: string, value: ValueKind, verbs: string): readonly string[] | null {
  switch (value.kind) {
    case "choices":
      return ["-f", "-a", quoted(value.choices.join(" "))];
    case "ids":
      return ["-f", "-a", quoted(`(__${program}_ids ${value.of})`)];
    case "verb":
      return ["-f", "-a", quoted(verbs)];
    case "file":
      return ["-F"];
    case "folder":
      return ["-f", "-a", quoted("(__fish_complete_directories)")];
    case "free":
      return null;
  }
}

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
