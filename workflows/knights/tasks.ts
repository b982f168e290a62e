/** The fleet's work as tasks of ours: one type a domain, so that each domain is an agent with totals of its own. */
import { type TaskDefinition, task } from "perdure";
import { z } from "zod";
import { domains, FleetTaskId, KnightResult, timeoutMsMax } from "./messages.js";

export const Domain = z.enum(domains);
export type Domain = z.infer<typeof Domain>;

/** Unless the dispatcher says otherwise; the knights' own default. */
export const timeoutMsDefault = 1_800_000;

export const KnightRequest = z.object({
  /** The fleet's id of it, such as `security-1771813755-33254`. */
  task_id: FleetTaskId,
  domain: z.string(),
  task: z.string().min(1),
  timeout_ms: z.int().min(1).max(timeoutMsMax),
  /** Who has published it to the fleet already; absent: nobody has, and we do. */
  dispatched_by: z.string().optional(),
});
export type KnightRequest = z.infer<typeof KnightRequest>;

/** A domain that the fleet has no word for. */
const otherDomain = "other";

const isDomain = (text: string): boolean => Domain.safeParse(text).success;

export const taskTypeOf = (domain: string): string => `knight:${isDomain(domain) ? domain : otherDomain}`;

/** The fleet's members of each domain, seen as one agent. */
export const fleetAgents = [...domains, otherDomain].map((domain) => ({
  agentId: `fleet-a-${domain}`,
  capability: `knight:${domain}`,
}));

/** For `ctx.task`. More than one attempt is for the bridge: the knights get the task once. */
export function knightTask(domain: Domain): TaskDefinition<typeof KnightRequest, typeof KnightResult> {
  return task(taskTypeOf(domain), {
    input: KnightRequest,
    output: KnightResult,
    retry: { maximumAttempts: 5, initialIntervalMs: 200, maximumIntervalMs: 5_000 },
  });
}
