/** Runs the code of steps: outside of the workflow's rules, as any other code of this process. */
import { randomBytes } from "node:crypto";
import type { StepOutcome } from "../protocol/activation.js";
import type { Command, CommandOf } from "../protocol/command.js";
import type { RunId } from "../protocol/ids.js";
import { runOutside } from "../replay/current-run.js";
import { untilQuiet } from "../replay/until-quiet.js";
import type { StepCode } from "../workflow/ask-task.js";
import type { StepContext } from "../workflow/context.js";

/** A step whose first attempt was begun and has not ended well yet. */
export interface BegunStep {
  readonly seq: number;
  readonly token: string;
  readonly running: Promise<unknown>;
  readonly stop: AbortController;
}

export interface Begun {
  /** The commands as they are sent, with the tokens of what was begun. */
  readonly commands: readonly Command[];
  /** Steps that have ended already. */
  readonly outcomes: readonly StepOutcome[];
  readonly under: readonly BegunStep[];
}

const TOKEN_BYTES = 16;

/** Begins the steps among `commands` whose attempts are not counted, and looks which of them end at once. */
export async function beginSteps(
  runId: RunId,
  commands: readonly Command[],
  steps: ReadonlyMap<number, StepCode>,
): Promise<Begun> {
  const begun = new Map<number, BegunStep & { outcome: StepOutcome | null }>();
  for (const command of commands) {
    if (command.type !== "ScheduleStep") continue;
    const step = steps.get(command.seq);
    if (step?.begin !== "at once") continue;
    const stop = new AbortController();
    const running = runStep(runId, command.seq, step, 1, stop.signal);
    const one = { seq: command.seq, token: newToken(), running, stop, outcome: null as StepOutcome | null };
    begun.set(command.seq, one);
    running.then(
      (output) => {
        one.outcome = { seq: command.seq, output: output ?? null };
      },
      () => undefined,
    );
  }
  if (begun.size === 0) return { commands, outcomes: [], under: [] };
  await untilQuiet();
  const outcomes: StepOutcome[] = [];
  const under: BegunStep[] = [];
  for (const one of begun.values()) {
    if (one.outcome !== null && isSmall(one.outcome)) outcomes.push(one.outcome);
    else under.push(one);
  }
  const tokens = new Map([...begun.values()].map(({ seq, token }) => [seq, token]));
  const sent = commands.map((command) => withToken(command, tokens));
  return { commands: sent, outcomes, under };
}

/** @throws whatever the step's code throws */
export function runStep(
  runId: RunId,
  seq: number,
  step: StepCode,
  attempt: number,
  signal: AbortSignal,
): Promise<unknown> {
  const context: StepContext = { attempt, stepId: `${runId}-${seq}`, signal };
  return runOutside(async () => await step.code(context));
}

function withToken(command: Command, tokens: ReadonlyMap<number, string>): Command {
  if (command.type !== "ScheduleStep") return command;
  const token = tokens.get(command.seq);
  return token === undefined ? command : ({ ...command, token } satisfies CommandOf<"ScheduleStep">);
}

/** Characters of JSON. A larger output goes in a result of its own, which says what is wrong with it if it is too large. */
const OUTCOME_LENGTH_MAX = 16_384;

function isSmall({ output }: StepOutcome): boolean {
  try {
    const json = JSON.stringify(output) as string | undefined;
    return json !== undefined && json.length <= OUTCOME_LENGTH_MAX;
  } catch {
    return false;
  }
}

function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString("base64url");
}
