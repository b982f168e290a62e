/** The completion script for zsh. */
import type { CompletedOption, CompletionModel, ValueKind } from "./model.js";

export function zshScript({ program, options, connectionFlags, verbs }: CompletionModel): string {
  return `#compdef ${program}
# zsh completion for ${program}. Once: source <(${program} completion zsh)
# For good: ${program} completion zsh > "\${fpath[1]}/_${program}"

_${program}_ids() {
  local -a ids
  ids=(\${(f)"$("\${words[1]}" ids "$1" "\${where[@]}" 2>/dev/null)"})
  compadd -- "\${ids[@]}"
}

_${program}_verbs() {
  local -a verbs
  verbs=(
${verbs.map(({ name, description }) => `    ${described(name, description)}`).join("\n")}
  )
  _describe verb verbs
}

# Completes what follows option $2 of verb $1. With "ask" as $3 it only says whether one value follows, or several.
_${program}_option() {
  case "$1 $2" in
${[
  ...verbs.flatMap(({ name, options: own }) => own.flatMap((option) => optionCases(program, name, option))),
  ...options.flatMap((option) => optionCases(program, "*", option)),
].join("\n")}
  esac
}

_${program}_argument() {
  case "$1 $2" in
${verbs
  .flatMap(({ name, arguments: taken }) =>
    taken.map(
      ({ value, takes }, index) => `    "${name} "${takes === "several" ? "*" : index}) ${actionOf(program, value)} ;;`,
    ),
  )
  .join("\n")}
  esac
}

_${program}_flags() {
  local -a flags
  flags=(
${flagLines(options)}
  )
  case "$1" in
${verbs
  .filter(({ options: own }) => own.length > 0)
  .map(({ name, options: own }) => `    ${name}) flags+=(\n${flagLines(own)}\n    ) ;;`)
  .join("\n")}
  esac
  _describe option flags
}

_${program}() {
  local verb="" option="" takes="" count=0 word
  # What says which server to ask for ids.
  local -a where
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $option && $word != -* ]]; then
      [[ " ${connectionFlags.join(" ")} " == *" $option "* ]] && where+=("$option" "$word")
      [[ $takes == several ]] || option=""
    elif [[ $word == -* ]]; then
      takes="$(_${program}_option "$verb" "$word" ask)"
      option=""
      if [[ -n $takes ]]; then
        option="$word"
      elif [[ " ${connectionFlags.join(" ")} " == *" \${word%%=*} "* ]]; then
        where+=("$word")
      fi
    elif [[ -z $verb ]]; then
      verb="$word"
      option=""
    else
      ((count++))
    fi
  done
  if [[ $PREFIX == --*=* ]]; then
    option="\${PREFIX%%=*}"
    compset -P '*='
    _${program}_option "$verb" "$option"
  elif [[ -n $option && $PREFIX != -* ]]; then
    _${program}_option "$verb" "$option"
  elif [[ $PREFIX == -* ]]; then
    _${program}_flags "$verb"
  elif [[ -z $verb ]]; then
    _${program}_verbs
  else
    _${program}_argument "$verb" "$count"
  fi
}

if [[ "\${funcstack[1]}" == "_${program}" ]]; then
  _${program} "$@"
else
  compdef _${program} ${program}
fi
`;
}

function optionCases(program: string, verb: string, { flags, value, takes }: CompletedOption): readonly string[] {
  if (value === null) return [];
  const patterns = flags.map((flag) => (verb === "*" ? `*" ${flag}"` : `"${verb} ${flag}"`)).join(" | ");
  return [`    ${patterns}) [[ $3 == ask ]] && echo ${takes} || { ${actionOf(program, value)} } ;;`];
}

function actionOf(program: string, value: ValueKind): string {
  switch (value.kind) {
    case "choices":
      return `compadd -- ${value.choices.join(" ")}`;
    case "ids":
      return `_${program}_ids ${value.of}`;
    case "verb":
      return `_${program}_verbs`;
    case "file":
      return "_files";
    case "folder":
      return "_files -/";
    case "free":
      return ":";
  }
}

const flagLines = (options: readonly CompletedOption[]): string =>
  options.flatMap(({ flags, description }) => flags.map((flag) => `    ${described(flag, description)}`)).join("\n");

/** As `_describe` takes it: a colon ends the name. */
function described(name: string, description: string): string {
  return `'${`${name}:${description}`.replaceAll("'", "'\\''")}'`;
}
