/**
 * A brain: takes jobs and shows them over HTTP from the beginning; once it is active it also dispatches them, reads what the
 * workers say and hosts the extensions, until another brain takes over.
 */
import { type Client, connectClient } from "perdure";
import { connectFleet } from "perdure/bridges";
import { BrainDuties } from "./brain-duties.js";
import { ExtensionRegistry } from "./extension-registry.js";
import { HandoffMember } from "./handoff.js";
import { beat, HealthMonitor } from "./health.js";
import { startHttpFace } from "./http-face.js";
import { JobBook } from "./job-book.js";
import { JobDesk } from "./job-desk.js";
import type { MemberSettings } from "./member-settings.js";
import { Memory } from "./memory.js";
import { brainTopology, jobSettings, news } from "./topology.js";
import { startTracing } from "./tracing.js";

export interface BrainSettings extends MemberSettings {
  /** 0 takes a free one. */
  readonly httpPort: number;
}

export interface Brain {
  /** Of its HTTP face. */
  readonly url: string;
  readonly handoff: HandoffMember;
  /** Lets go of everything; a brain that stands by takes over at once. */
  stop(): Promise<void>;
}

const nothing = async (): Promise<void> => undefined;
const INTERVALS_UNTIL_SILENT = 4;

export async function startBrain(settings: BrainSettings): Promise<Brain> {
  const { id, servers, namespace, heartbeatMs, ackWaitMs, logger } = settings;
  const tracing = startTracing("baker-street.brain");
  const basis = { servers, namespace, ...(logger === undefined ? {} : { logger }) };
  const fleet = await connectFleet({ ...basis, name: `brain ${id}` });
  const jobs = await jobSettings(fleet, ackWaitMs);
  await fleet.apply(brainTopology(namespace, jobs));
  const client = await connectClient({ ...basis, name: `brain ${id}` });
  const memory = new Memory(fleet, namespace);
  const book = new JobBook(memory);
  const patienceMs = heartbeatMs * INTERVALS_UNTIL_SILENT;
  const extensions = new ExtensionRegistry(fleet, memory, patienceMs);
  const duties = new BrainDuties({
    connection: basis,
    ackWaitMs,
    fleet,
    client,
    book,
    extensions,
    tracing,
    extensionLostAfterMs: patienceMs,
  });
  // Both of two brains: what nobody hears is missed, and of a job's results the first one counts.
  const endOverhearing = jobs.overheard.includes(news.result) ? book.overhear(fleet, news.result) : nothing;
  // Made behind the monitor, which hears beats at once.
  let handoff: HandoffMember | null = null;
  const monitor = new HealthMonitor(fleet, (heard) => handoff?.hearBeat(heard));
  const role = () => ({ role: handoff?.role ?? "standby", term: handoff?.term ?? 0 });
  const face = await startHttpFace({
    port: settings.httpPort,
    desk: new JobDesk({ client, book, tracing }),
    tracing,
    health: () => ({ id, ...role(), services: monitor.services() }),
    tools: () => toolsOf(client),
  });
  const endBeat = beat(fleet, {
    service: "brain",
    id,
    intervalMs: heartbeatMs,
    also: () => ({ ...role(), url: face.url }),
  });
  const member = new HandoffMember({
    fleet,
    memory,
    brainId: id,
    offerIntervalMs: heartbeatMs,
    patienceMs,
    take: () => duties.take(),
    letGo: () => duties.letGo(),
  });
  handoff = member;
  const close = once(async () => {
    endBeat();
    monitor.close();
    book.close();
    await extensions.close();
    await endOverhearing();
    await face.close();
    await duties.letGo();
    await client.close();
    await fleet.close();
    await tracing.close();
  });
  return {
    url: face.url,
    handoff: member,
    stop: async () => {
      try {
        await member.stop();
      } finally {
        await close();
      }
    },
  };
}

/** Whoever offers tools now, and which. */
async function toolsOf(client: Client) {
  const { agentStatuses } = await client.status();
  return agentStatuses
    .filter(({ agentId, state }) => agentId.startsWith("extension-") && (state === "healthy" || state === "unhealthy"))
    .map(({ agentId, state, capabilities, metrics }) => ({
      id: agentId.slice("extension-".length),
      state,
      tools: capabilities.map((capability) => capability.replace(/^tool:/, "")),
      metrics,
    }));
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}
