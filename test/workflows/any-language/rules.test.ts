/** The conformance check finds what it is there to find: each rule is broken by an agent with just that flaw. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { AgentProxy } from "../../../workflows/any-language/agent-proxy.js";
import type { CheckOptions } from "../../../workflows/any-language/check-options.js";
import { PlayedOrchestrator } from "../../../workflows/any-language/played-orchestrator.js";
import { presence, rulesOfPlayedStage } from "../../../workflows/any-language/played-stage.js";
import { RawNats } from "../../../workflows/any-language/raw-nats.js";
import { judgeAll, type Verdict } from "../../../workflows/any-language/rule.js";
import { newNamespace, useNats } from "../../support/nats.js";
import { type Flaw, SloppyAgent } from "./sloppy-agent.js";

const nats = useNats();

const options: Omit<CheckOptions, "namespace" | "only"> = {
  type: "nap",
  input: { seconds: 0 },
  expected: 0,
  slowInput: { seconds: 1.2 },
  badInput: { seconds: "two" },
  port: 0,
  command: ["in this process"],
};

async function verdictOf(rule: string, ...flaws: readonly Flaw[]): Promise<Verdict> {
  const namespace = newNamespace();
  const proxy = await AgentProxy.listen(0);
  const listener = await RawNats.connect(nats.url);
  const agent = new SloppyAgent(proxy.url, namespace, ...flaws);
  try {
    const played = new PlayedOrchestrator(listener, { namespace, type: "nap" });
    await listener.flush();
    proxy.lead(nats.url);
    const verdicts: Verdict[] = [];
    const scene = { options: { ...options, namespace, only: rule }, agent, proxy, played };
    await judgeAll(rulesOfPlayedStage, scene, presence(), (verdict) => verdicts.push(verdict));
    const verdict = verdicts.find(({ rule: { name } }) => name === rule);
    return verdict ?? expect.fail(`there is no rule "${rule}"`);
  } finally {
    agent.stop("stopped by the test");
    listener.close();
    await proxy.close();
  }
}

const broken: Readonly<Record<string, readonly Flaw[]>> = {
  "comes back when its connection was cut": ["stays away once cut off"],
  "registers again when it is told to, and until it is confirmed": ["registers once"],
  "keeps its instanceId while its process lives": ["is another instance each time"],
  "heartbeats as often as it is told": ["heartbeats when it likes"],
  "heartbeats as requests, with incarnation and tokens": ["says nothing of incarnation and tokens"],
  "answers an assignment once, within five seconds": ["answers twice"],
  "names the token in its result": ["keeps the token to itself"],
  "reads messages that arrive in pieces": ["takes a chunk for a message"],
  "reads a message of 100 KB, with anything in it": ["searches for the task id", "takes a chunk for a message"],
  "reads messages with headers": ["does not know headers"],
  "answers the server's pings": ["answers no ping"],
  "lives on when it is sent what it cannot read, or does not know": ["dies of what it cannot read"],
  "leaves an assignment to another incarnation alone": ["takes others' assignments"],
  "ignores orders to another agent": ["obeys whoever speaks"],
  "hands in a result again until it is acknowledged, and then no more": [
    "hands in once",
    "hands in for ever",
    "takes an error for an acknowledgement",
  ],
  "answers an assignment that comes again as it did before": ["answers an assignment once"],
  "does not run an assignment twice that comes again": ["runs what it has in hand", "runs what it answered"],
  "names what it has in hand in its heartbeats": ["leaves out the tokens"],
  "stops an attempt that is cancelled": ["goes on when cancelled"],
  "goes on when another attempt is cancelled": ["stops for any cancellation"],
  "hands in nothing for an attempt that is not its own any more": ["hands in what was taken away"],
  "hands back what it has no room for": ["takes what it has no room for"],
  "fails a task whose input is wrong, and goes on": ["dies of wrong input"],
  "drains on SIGTERM: finishes or hands back what it has, then says goodbye": ["leaves without a word"],
  "does not fight for its id when another process took it": ["takes its id back"],
  "ends when another process took its id": ["lives on without an id"],
  "says only what its schema allows": ["writes timestamps as text"],
};

const flawed = Object.entries(broken).flatMap(([rule, flaws]) => flaws.map((flaw) => [rule, flaw] as const));

/** Most of the time they wait for each other's silence, so all are judged at once and each test looks at one. */
const verdicts = new Map<string, Promise<Verdict>>();
beforeAll(() => {
  for (const [rule, flaw] of flawed) verdicts.set(`${rule} ${flaw}`, verdictOf(rule, flaw));
  for (const rule of Object.keys(broken)) verdicts.set(rule, verdictOf(rule));
});
afterAll(() => Promise.allSettled(verdicts.values()));

it.each(flawed)(
  'finds that an agent does not do this: it "%s", for it %s',
  { timeout: 120_000 },
  async (rule, flaw) => {
    expect(await verdicts.get(`${rule} ${flaw}`)).toMatchObject({
      outcome: "broken",
      why: expect.stringMatching(/\S/),
    });
  },
);

it.each(Object.keys(broken))(
  'finds that an agent without flaws does this: it "%s"',
  { timeout: 120_000 },
  async (rule) => {
    expect(await verdicts.get(rule)).toMatchObject({ outcome: "kept", why: "" });
  },
);

it("has shown every rule an agent that breaks it", () => {
  expect(Object.keys(broken).sort()).toEqual(rulesOfPlayedStage.map(({ name }) => name).sort());
});
