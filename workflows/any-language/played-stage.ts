/** The second half of the check: what a real orchestrator and its streams do on bad days only, played. */
import { join } from "node:path";
import { PerdureDev } from "./perdure-dev.js";
import { PlayedOrchestrator } from "./played-orchestrator.js";
import { RawNats } from "./raw-nats.js";
import { judgeAll, type Rule, type Scene } from "./rule.js";
import { rulesOfConversation } from "./rules-of-conversation.js";
import { rulesOfLeaving } from "./rules-of-leaving.js";
import { rulesOfWork } from "./rules-of-work.js";
import type { Stage } from "./stage.js";
import { within } from "./within.js";

export const rulesOfPlayedStage: readonly Rule[] = [...rulesOfConversation, ...rulesOfWork, ...rulesOfLeaving];

/** Of an agent that has to be started again, by hand perhaps. */
const APPEARANCE_MS = 60_000;
const APPEARANCE_OF_OURS_MS = 20_000;
/** A heartbeat and a half. */
const RECENTLY_MS = 1_500;

export async function checkWithPlayed({ options, folder, proxy, agent, undo, say, note }: Stage): Promise<void> {
  const { namespace, type, only } = options;
  if (!rulesOfPlayedStage.some(({ name }) => name.includes(only))) return;
  say("With an orchestrator that is played");
  // Its own orchestrator leads elsewhere: in the agent's namespace nobody does but the played one.
  const dev = await PerdureDev.start({ storeFolder: join(folder, "played"), namespace: "nobody", port: 0 });
  undo.push(() => dev.kill());
  const nats = await RawNats.connect(dev.url);
  undo.push(() => nats.close());
  const played = new PlayedOrchestrator(nats, { namespace, type });
  await nats.flush();
  proxy.lead(dev.url);
  await judgeAll(rulesOfPlayedStage, { options, agent, proxy, played }, presence(), note);
  await dev.stop();
}

/** Waits for the agent before each rule: null once it is there and knows the played orchestrator. */
export function presence(): (scene: Scene) => Promise<string | null> {
  let wasMissing = false;
  return async ({ agent, played }) => {
    played.behave();
    if (agent.end === null && played.heardSince(performance.now() - RECENTLY_MS)) return null;
    agent.start();
    const since = performance.now();
    const patienceMs = agent.isOurs ? APPEARANCE_OF_OURS_MS : APPEARANCE_MS;
    // One that did not come will not come sooner for the next rule.
    const seen = await within(wasMissing ? RECENTLY_MS : patienceMs, () =>
      played.heardSince(since) ? "a heartbeat" : agent.missing(),
    );
    if (seen === "a heartbeat") return null;
    wasMissing = true;
    return seen ?? "the agent is not there: no heartbeat that can be read";
  };
}
