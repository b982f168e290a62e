/**
 * What the fleet says, by the names it has always used. Its fields are contracts: they are read and written as they are,
 * and become ours in bridge.ts alone.
 */
import { z } from "zod";

/** The domains the fleet has words for; a task may name another one, and is then answered by an error. */
export const domains = ["security", "finance", "career", "infra", "home", "research", "vault"] as const;

/** Longer than anybody's, and short enough for a subject. */
const idLengthMax = 200;
/** Timers take no more: 24.8 days. */
export const timeoutMsMax = 2_147_483_647;

const token = /^[^\s.*>\p{Cc}]+$/u;
const Domain = z.string().max(64).regex(token, "must be one token of a subject");

/** The end of a subject: one token or more, without wildcards. */
export const FleetTaskId = z
  .string()
  .max(idLengthMax)
  .refine((id) => id.split(".").every((part) => token.test(part)), "must be usable as the end of a subject");

/** ISO 8601, with or without an offset: the members of a fleet are written in many languages. */
const Timestamp = z.iso.datetime({ offset: true, local: true });

/** On `fleet-a.tasks.<domain>.<task-id>`. */
export const KnightTask = z.object({
  /** What is to be done, in words. */
  task: z.string().min(1),
  task_id: FleetTaskId,
  domain: Domain,
  dispatched_by: z.string(),
  timestamp: Timestamp,
  metadata: z
    .object({
      /** Whatever the dispatcher calls it. */
      priority: z.string().default("normal"),
      /** Milliseconds the execution may take; without it, the knight's own TASK_TIMEOUT_MS. */
      timeout_ms: z.int().min(1).max(timeoutMsMax).optional(),
    })
    .default({ priority: "normal" }),
});
export type KnightTask = z.infer<typeof KnightTask>;

/** On `fleet-a.results.<task-id>`; a failure and a time-out are results, too. */
export const KnightResult = z.object({
  task_id: FleetTaskId,
  knight: z.string(),
  success: z.boolean(),
  /** Markdown; the error where it did not succeed. */
  result: z.string(),
  duration_ms: z.number().nonnegative(),
  /** US dollars. */
  cost: z.number().nonnegative(),
  tokens: z.object({ input: z.number().nonnegative(), output: z.number().nonnegative() }),
  model: z.string(),
  timestamp: Timestamp,
});
export type KnightResult = z.infer<typeof KnightResult>;

/** Beyond it, it is nobody's cost, and the sum of two would be no number of JSON. */
const amountMax = 1e12;
const amount = z.number().nonnegative().max(amountMax);

/** As it is heard: whoever did a task has done it, also where what it says of the cost cannot be read. */
export const HeardResult = KnightResult.extend({
  knight: z.string().catch("unknown"),
  duration_ms: amount.catch(0),
  cost: amount.catch(0),
  tokens: z.object({ input: amount.catch(0), output: amount.catch(0) }).catch({ input: 0, output: 0 }),
  model: z.string().catch("unknown"),
  timestamp: Timestamp.catch(() => new Date().toISOString()),
});

export const taskSubject = (domain: string, taskId: string): string => `fleet-a.tasks.${domain}.${taskId}`;
export const resultSubject = (taskId: string): string => `fleet-a.results.${taskId}`;

/** What a task's subject says of it: `fleet-a.tasks.<domain>.<task-id>`. */
export function taskIdInSubject(subject: string): string | undefined {
  const [, , , ...rest] = subject.split(".");
  return FleetTaskId.safeParse(rest.join(".")).data;
}

/** Such as `security-1771813755-33254`: the domain, the second, and five digits so that two of one second differ. */
export function newTaskId(domain: string, at: Date, random: number): string {
  return `${domain}-${Math.floor(at.getTime() / 1_000)}-${10_000 + Math.floor(random * 90_000)}`;
}
