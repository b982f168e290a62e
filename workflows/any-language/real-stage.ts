/** The first half of the check: an orchestrator as anybody runs it, killed and started again in between. */
import { join } from "node:path";
import { type Client, connectClient, type SystemEvent } from "perdure";
import { PerdureDev } from "./perdure-dev.js";
import { judgeAll } from "./rule.js";
import { rulesWithOrchestrator } from "./rules-with-orchestrator.js";
import type { Stage } from "./stage.js";
import { within } from "./within.js";

/** For an author who has to start it by hand. */
const APPEARANCE_MS = 180_000;
const STATUS_INTERVAL_MS = 100;

/** @throws Error where no agent comes */
export async function checkWithOrchestrator({ options, folder, proxy, agent, undo, say, note }: Stage): Promise<void> {
  const { type, input, namespace, only } = options;
  if (!rulesWithOrchestrator.some(({ name }) => name.includes(only))) return;
  say("With an orchestrator that is killed");
  const storeFolder = join(folder, "real");
  let dev = await PerdureDev.start({ storeFolder, namespace, port: 0 });
  undo.push(() => dev.kill());
  const client = await connectClient({ servers: dev.url, namespace, name: "check-agent" });
  undo.push(() => client.close());
  const events: SystemEvent[] = [];
  client.onEvent((event) => events.push(event));
  const { taskId: firstTaskId } = await client.submit({ type, input });

  proxy.lead(dev.url);
  agent.start();
  const agentId = await agentWith(type, client, () => agent.end);
  if (agentId === null) {
    const why = agent.end === null ? `within ${APPEARANCE_MS / 1_000} s` : `before it ended: ${agent.end}`;
    throw new Error(`no agent with the capability ${type} registered ${why}\n${agent.lastWords}`);
  }
  const crash = async (): Promise<void> => {
    const { port } = new URL(dev.url);
    await dev.kill();
    dev = await PerdureDev.start({ storeFolder, namespace, port: Number(port) });
  };
  const scene = { options, agent, proxy, agentId, client, events, firstTaskId, crash };
  await judgeAll(rulesWithOrchestrator, scene, () => Promise.resolve(agent.missing()), note);
  proxy.lead(null);
  await client.close();
  await dev.stop();
}

async function agentWith(type: string, client: Client, end: () => string | null): Promise<string | null> {
  const deadline = performance.now() + APPEARANCE_MS;
  while (performance.now() < deadline && end() === null) {
    const { agentStatuses } = await client.status();
    const found = agentStatuses.find(({ capabilities }) => capabilities.includes(type));
    if (found !== undefined) return found.agentId;
    await within(STATUS_INTERVAL_MS, end);
  }
  return null;
}
