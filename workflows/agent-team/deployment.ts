/**
 * What a deployment does to the errors of its environment: those of the code that is gone are of no interest any more, and
 * the same error is a new one from here on. Purging a stream alone does not do that: the server goes on knowing the message
 * ids of what was purged, until their window is over. It forgets them when the window is narrowed for a moment.
 */
import { setTimeout as delay } from "node:timers/promises";
import { defineTopology } from "perdure";
import type { Fleet } from "perdure/bridges";
import { z } from "zod";
import type { TeamNames } from "./names.js";
import { topologyOf } from "./topology.js";

/** Those whose errors end with a deployment. */
export type Deployed = "staging" | "production";
export const deployed = ["staging", "production"] as const satisfies readonly Deployed[];

/**
 * The server takes no shorter one. It looks through its ids when the window changes, and at the end of each window, which a
 * busy one was seen to miss: so the window changes twice, and the second look finds what was too young for the first.
 */
const narrowWindows = ["100ms", "200ms"] as const;
/** For each of the two. */
const forgettingMs = 750;

/** Returns how many reports nobody will look at. */
export async function purgeOnDeployment(fleet: Fleet, names: TeamNames, environment: Deployed): Promise<number> {
  const purged = await fleet.purge(names.streams.errors[environment]);
  await forgetMessageIds(fleet, names, environment);
  return purged;
}

/** Whatever happens in between, the next start of a team sets the window right. */
export async function forgetMessageIds(fleet: Fleet, names: TeamNames, environment: Deployed): Promise<void> {
  const name = names.streams.errors[environment];
  const declared = topologyOf(names).streams[name];
  if (declared === undefined) throw new Error(`the topology of ${names.project} has no stream ${name}`);
  const applied = (changes: Partial<typeof declared>) =>
    fleet.apply(
      defineTopology(`${names.project} ${environment}`, { streams: { [name]: { ...declared, ...changes } } }),
    );
  for (const duplicateWindow of narrowWindows) {
    await applied({ duplicateWindow });
    await delay(forgettingMs);
  }
  await applied({});
}

/** What the server says of each request to JetStream. */
const ApiAudit = z.object({ subject: z.string(), response: z.string() });

/** Deployments of the fleet's other members purge the stream by the server's own interface: the same is done for them. */
export function forgetWhenPurged(fleet: Fleet, names: TeamNames, onFault: (fault: unknown) => void): void {
  fleet.listen("$JS.EVENT.ADVISORY.API", ApiAudit, ({ body: { subject, response } }) => {
    const environment = deployed.find((name) => subject === `$JS.API.STREAM.PURGE.${names.streams.errors[name]}`);
    if (environment === undefined || !response.includes('"success":true')) return;
    forgetMessageIds(fleet, names, environment).catch(onFault);
  });
}
