/** `perdure dead-letters`: the messages of foreign fleets that nobody could handle; to look at, to replay, to drop. */
import { Argument, type Command } from "commander";
import type { DeadLetterBox, ReplayedLetter } from "../../bridges/dead-letter-box.js";
import type { KeptLetter } from "../../bridges/kept-letter.js";
import { PerdureError } from "../../errors.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { printJson, printLines } from "../messages.js";
import { parseCount } from "../option-values.js";
import { type Format, type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { type Style, styleOf } from "../style.js";
import { type Column, tableLines } from "../table.js";
import { oneLine, printableLines } from "../terminal-text.js";
import { durationText } from "../time-text.js";
import { runVerb } from "../verb.js";

const actions = ["list", "show", "replay", "drop"] as const;
type Action = (typeof actions)[number];

interface DeadLetterOptions extends FormatOptions {
  readonly all?: true;
  readonly stream?: string;
  readonly consumer?: string;
  readonly limit?: number;
}

const LIMIT_MAX = 10_000;

const replayHelp = `
replay publishes a message as it was to the subject where it was, for every consumer of that subject, and removes it here.
drop removes it for good. Both take numbers from the list, or --all with --stream and --consumer to choose.`;

export function addDeadLetters(program: Command): void {
  const command = program
    .command("dead-letters")
    .description("list, show, replay or drop messages of foreign fleets that nobody could handle")
    .addArgument(new Argument("<action>", "what to do").choices(actions))
    .argument("[numbers...]", "numbers of dead letters")
    .option("--all", "every one that --stream and --consumer choose")
    .option("--stream <stream>", "only those of this stream")
    .option("--consumer <consumer>", "only those of this consumer")
    .option("--limit <count>", "how many are listed at most (default: 100)", parseCount)
    .addHelpText("after", replayHelp);
  withFormatOptions(command).action(
    (action: Action, numbers: readonly string[], options: DeadLetterOptions, verb: Command) =>
      runVerb(verb, (settings) => run(settings, action, numbers, options)),
  );
}

async function run(
  settings: Settings,
  action: Action,
  numbers: readonly string[],
  options: DeadLetterOptions,
): Promise<ExitStatus> {
  const ids = numbers.map(idOf);
  if (action !== "list" && ids.length === 0 && !(options.all && action !== "show")) {
    throw new PerdureError(
      "USAGE",
      `say which: perdure dead-letters ${action} <numbers...>${action === "show" ? "" : ", or --all"}`,
    );
  }
  const [{ connectFleet }, { silentLogger }] = await Promise.all([
    import("../../bridges/connect-fleet.js"),
    import("../../logger.js"),
  ]);
  const fleet = await connectFleet({
    ...settings.connection().options,
    namespace: settings.namespace,
    name: "perdure cli",
    logger: silentLogger,
  });
  try {
    const style = styleOf(process.stdout, settings.environment);
    if (action === "list") printLetters(await fleet.deadLetters.list(options), formatOf(options), style);
    else await onEach(fleet.deadLetters, action, ids, options);
    return exitStatus.ok;
  } finally {
    await fleet.close();
  }
}

function idOf(text: string): number {
  const id = Number(text);
  if (Number.isSafeInteger(id) && id > 0) return id;
  throw new PerdureError("USAGE", `"${text}" is no number of a dead letter; perdure dead-letters list shows them`);
}

async function onEach(
  box: DeadLetterBox,
  action: Exclude<Action, "list">,
  given: readonly number[],
  options: DeadLetterOptions,
): Promise<void> {
  const ids = given.length > 0 ? given : await chosen(box, options);
  const format = formatOf(options);
  const verbs = { show: "get", replay: "replay", drop: "drop" } as const;
  const done: KeptLetter[] = [];
  for (const id of ids) {
    const letter: KeptLetter | ReplayedLetter = await box[verbs[action]](id);
    done.push(letter);
    if (format === "jsonl") printJson(letter);
    if (format === "text")
      printLines(
        action === "show"
          ? letterLines(letter)
          : [oneLine(`${id} ${pastTense[action]} ${letter.subject}${unmarked(letter)}`)],
      );
  }
  if (format === "json") printJson({ deadLetters: done });
}

/** What cannot be read comes last: it ends a replay of all, and nothing else waits behind it. */
async function chosen(box: DeadLetterBox, options: DeadLetterOptions): Promise<readonly number[]> {
  const letters = await box.list({ limit: LIMIT_MAX, ...options });
  const isUnreadable = ({ reason }: KeptLetter): number => Number(reason === "unreadable");
  return letters.toSorted((a, b) => isUnreadable(a) - isUnreadable(b)).map(({ id }) => id);
}

const unmarked = (letter: KeptLetter | ReplayedLetter): string =>
  "isMarked" in letter && !letter.isMarked ? ", without the header Perdure-Replay: it had no room for it" : "";

const pastTense = { replay: "replayed to", drop: "dropped, of" } as const;

function printLetters(letters: readonly KeptLetter[], format: Format, style: Style): void {
  if (format === "json") printJson({ deadLetters: letters });
  else if (format === "jsonl") for (const letter of letters) printJson(letter);
  else
    printLines(letters.length === 0 ? ["There are no dead letters."] : tableLines(letters, columns(Date.now()), style));
}

const columns = (now: number): readonly Column<KeptLetter>[] => [
  { heading: "number", cell: ({ id }) => String(id), align: "right" },
  { heading: "reason", cell: ({ reason }) => reason },
  { heading: "attempts", cell: ({ attempts }) => String(attempts), align: "right", givesWay: 4 },
  { heading: "age", cell: ({ failedAt }) => durationText(now - failedAt), align: "right", givesWay: 5 },
  {
    heading: "consumer",
    cell: ({ stream, consumer }) => (consumer === "" ? stream : `${stream}/${consumer}`),
    givesWay: 3,
    widthMin: 12,
  },
  { heading: "subject", cell: ({ subject }) => subject, givesWay: 2, widthMin: 12 },
  { heading: "why", cell: ({ message }) => message, givesWay: 1, widthMin: 20 },
];

function letterLines(letter: KeptLetter): readonly string[] {
  const { data, encoding, headers, repeatedHeaders, ...facts } = letter;
  const valuesOf = ([name, first]: [string, string]) =>
    (repeatedHeaders?.[name] ?? [first]).map((value) => [name, value]);
  return [
    ...Object.entries(facts).map(([name, value]) =>
      oneLine(`${name}: ${name === "failedAt" ? new Date(value as number).toISOString() : value}`),
    ),
    ...Object.entries(headers)
      .flatMap(valuesOf)
      .map(([name, value]) => oneLine(`header ${name}: ${value}`)),
    encoding === "text" ? "data:" : "data (base64):",
    ...printableLines(data),
  ];
}
