/** A knight's settings: its environment variables, read here and nowhere else. */
import { resolve } from "node:path";
import { z } from "zod";
import { timeoutMsMax } from "./messages.js";

export interface KnightSettings {
  readonly natsUrl: string;
  /** Subjects of tasks, such as `fleet-a.tasks.security.>`. */
  readonly subjects: readonly string[];
  readonly name: string;
  readonly taskTimeoutMs: number;
  /** How long a knight that is to end may still work on the task in hand, before that is aborted. */
  readonly drainTimeoutMs: number;
  /** Null: 8080, or any other that is free. */
  readonly healthPort: number | null;
  /** Null: the samples that come with the knights. */
  readonly dataFolder: string | null;
}

export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

const prefix = "fleet-a.tasks.";
const blanks = /[\s\p{Cc}]/u;

function faultOf(subject: string): string | null {
  const tokens = subject.split(".");
  const isWhole = tokens.every((part, index) => part !== "" && (part !== ">" || index === tokens.length - 1));
  if (!subject.startsWith(prefix) || !isWhole || blanks.test(subject)) {
    return `"${subject}" is not a subject of tasks; one looks like ${prefix}security.>`;
  }
  if (tokens.length < 4 && tokens.at(-1) !== ">") return `"${subject}" has no task id; subscribe to ${subject}.>`;
  return null;
}

const Subjects = z
  .string("is not set; give the subjects of tasks, separated by commas")
  .transform((text) => [...new Set(text.split(",").map((part) => part.trim()))].filter((part) => part !== ""))
  .superRefine((subjects, context) => {
    if (subjects.length === 0) context.addIssue("names no subject");
    for (const subject of subjects) {
      const fault = faultOf(subject);
      if (fault !== null) context.addIssue(fault);
    }
  });

const wholeNumber = (min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .refine((text) => /^\d{1,10}$/.test(text) && Number(text) >= min && Number(text) <= max, {
      error: ({ input }) => `must be a whole number from ${min} to ${max}, not "${String(input)}"`,
    })
    .transform(Number);

const Environment = z.object({
  NATS_URL: z.string().default("nats://localhost:4222"),
  SUBSCRIBE_TOPICS: Subjects,
  KNIGHT_NAME: z.string("is not set; give the knight's name").regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, {
    error: ({ input }) => `must be 1 to 64 letters, digits, - and _, not "${String(input)}"`,
  }),
  TASK_TIMEOUT_MS: wholeNumber(1, timeoutMsMax).default(1_800_000),
  // Below the 30 s that Kubernetes gives a pod, so that the dispatcher gets an answer.
  DRAIN_TIMEOUT_MS: wholeNumber(0, timeoutMsMax).default(25_000),
  HEALTH_PORT: wholeNumber(0, 65_535).optional(),
  KNIGHT_DATA: z.string().optional(),
});

/** @throws SettingsError that names every variable that is missing or wrong, in one sentence */
export function readSettings(environment: NodeJS.ProcessEnv): KnightSettings {
  // What is set to nothing is not set: so does `docker compose` pass on what the user left out.
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = Environment.safeParse(given);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
    throw new SettingsError(`${faults.join("; ")}.`);
  }
  const { NATS_URL, SUBSCRIBE_TOPICS, KNIGHT_NAME, TASK_TIMEOUT_MS, DRAIN_TIMEOUT_MS, HEALTH_PORT, KNIGHT_DATA } =
    parsed.data;
  return {
    natsUrl: NATS_URL,
    subjects: SUBSCRIBE_TOPICS,
    name: KNIGHT_NAME,
    taskTimeoutMs: TASK_TIMEOUT_MS,
    drainTimeoutMs: DRAIN_TIMEOUT_MS,
    healthPort: HEALTH_PORT ?? null,
    dataFolder: KNIGHT_DATA === undefined ? null : resolve(KNIGHT_DATA),
  };
}
