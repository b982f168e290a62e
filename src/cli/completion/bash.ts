/** The completion script for bash, 3.2 and newer. */
import type { CompletedOption, CompletionModel, ValueKind } from "./model.js";

export function bashScript({ program, options, connectionFlags, verbs }: CompletionModel): string {
  const globalFlags = flagsOf(options);
  return `# bash completion for ${program}. Once: source <(${program} completion bash)
# For good: ${program} completion bash > ~/.local/share/bash-completion/completions/${program}

# What follows an option: its kind of value, and whether it takes several.
__${program}_value_of_option() {
  case "$1 $2" in
${[
  ...verbs.flatMap(({ name, options: own }) => own.flatMap((option) => optionCases(name, option))),
  ...options.flatMap((option) => optionCases("*", option)),
].join("\n")}
  esac
}

# Argument number $2 of a verb, from 0.
__${program}_value_of_argument() {
  case "$1 $2" in
${verbs
  .flatMap(({ name, arguments: taken }) =>
    taken.map(
      ({ value, takes }, index) => `    "${name} "${takes === "several" ? "*" : index}) echo "${wordsOf(value)}" ;;`,
    ),
  )
  .join("\n")}
  esac
}

__${program}_flags() {
  case "$1" in
${verbs.map(({ name, options: own }) => `    ${name}) echo "${flagsOf(own)} ${globalFlags}" ;;`).join("\n")}
    *) echo "${globalFlags}" ;;
  esac
}

_${program}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" verb="" option="" value="" count=0 i word
  # What says which server to ask for ids.
  local -a where=()
  [[ $cur == "=" ]] && cur=""
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    # bash makes three words of --option=value.
    [[ $word == "=" ]] && continue
    if [[ -n $option && $word != -* ]]; then
      case " ${connectionFlags.join(" ")} " in *" $option "*) where+=("$option" "$word") ;; esac
      [[ $value == several* ]] || option=""
    elif [[ $word == -* ]]; then
      value="$(__${program}_value_of_option "$verb" "$word")"
      option=""
      if [[ -n $value ]]; then
        option="$word"
      else
        case " ${connectionFlags.join(" ")} " in *" $word "*) where+=("$word") ;; esac
      fi
    elif [[ -z $verb ]]; then
      verb="$word"
      option=""
    else
      count=$((count + 1))
    fi
  done

  local kind
  if [[ -n $option && $cur != -* ]]; then
    kind="\${value#* }"
  elif [[ $cur == -* ]]; then
    kind="words $(__${program}_flags "$verb")"
  elif [[ -z $verb ]]; then
    kind="verb"
  else
    kind="$(__${program}_value_of_argument "$verb" "$count")"
  fi

  local IFS=$'\\n'
  case "$kind" in
    words\\ *) COMPREPLY=($(IFS=' ' compgen -W "\${kind#words }" -- "$cur")) ;;
    verb) COMPREPLY=($(IFS=' ' compgen -W "${verbs.map(({ name }) => name).join(" ")}" -- "$cur")) ;;
    file) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
    folder) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")) ;;
    ids\\ *) COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]}" ids "\${kind#ids }" "\${where[@]}" 2>/dev/null)" -- "$cur")) ;;
    *) COMPREPLY=() ;;
  esac
}
complete -F _${program} ${program}
`;
}

function optionCases(verb: string, { flags, value, takes }: CompletedOption): readonly string[] {
  if (value === null) return [];
  const patterns = flags.map((flag) => (verb === "*" ? `*" ${flag}"` : `"${verb} ${flag}"`)).join(" | ");
  return [`    ${patterns}) echo "${takes} ${wordsOf(value)}" ;;`];
}

/** Names are ours and hold nothing that a shell would look into. */
function wordsOf(value: ValueKind): string {
  switch (value.kind) {
    case "choices":
      return `words ${value.choices.join(" ")}`;
    case "ids":
      return `ids ${value.of}`;
    default:
      return value.kind;
  }
}

const flagsOf = (options: readonly CompletedOption[]): string => options.flatMap(({ flags }) => flags).join(" ");
