/**
 * `npm run demo:knights`: a server, an orchestrator, the dispatcher and three knights, each knight a process that knows its
 * environment alone; a morning briefing over five domains, of which one has nobody who can do it. Checks itself.
 */
import { constants } from "node:os";
import { type Client, connectClient, PerdureError } from "perdure";
import { startLocalSystem } from "perdure/testing";
import { z } from "zod";
import { dispatch } from "./dispatcher.js";
import { MemberProcess } from "./member-process.js";
import type { Domain } from "./tasks.js";
import { morningBriefing } from "./workflows.js";

const domains = ["security", "infra", "finance", "research", "career"] as const satisfies readonly Domain[];
/** Percival's domains include one that he has no executor for: the briefing goes without it. */
const cast = [
  { name: "galahad", topics: ["fleet-a.tasks.security.>"] },
  { name: "percival", topics: ["fleet-a.tasks.infra.>", "fleet-a.tasks.career.>"] },
  { name: "lancelot", topics: ["fleet-a.tasks.research.>", "fleet-a.tasks.finance.>"] },
] as const;
const limitMs = 60_000;

const Health = z.object({
  status: z.string(),
  jetstream: z.object({ ping_ms: z.number() }),
  consumer: z.object({ name: z.string(), pending: z.number() }),
  tasks: z.object({ succeeded: z.number(), failed: z.number() }),
});

const startedAt = performance.now();

function tell(sentence: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${sentence}`);
}

class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exit: number;

  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`stopped by ${signal}`);
    this.exit = 128 + constants.signals[signal];
  }
}

/** Resolves with what did not hold, each a sentence. */
async function play(url: string, members: MemberProcess[], signal: AbortSignal): Promise<readonly string[]> {
  const start = (name: string, script: URL, environment: Readonly<Record<string, string>>): MemberProcess => {
    signal.throwIfAborted();
    const member = new MemberProcess(name, script, { NATS_URL: url, ...environment });
    members.push(member);
    return member;
  };
  const tim = start("tim", new URL("./tim.js", import.meta.url), {});
  await tim.ready;
  tell(`tim (pid ${tim.pid}) dispatches: the fleet's domains are agents of the orchestrator`);
  const knights = cast.map(({ name, topics }) =>
    start(name, new URL("./knight.js", import.meta.url), {
      KNIGHT_NAME: name,
      SUBSCRIBE_TOPICS: topics.join(","),
      HEALTH_PORT: "0",
    }),
  );
  const healthUrls = (await Promise.all(knights.map(({ ready }) => ready))).map((line) => line.split(" ")[2] ?? "");
  tell(`${knights.map(({ name, pid }) => `${name} (pid ${pid})`).join(", ")} take tasks`);

  const client = await connectClient({ servers: url, name: "knights demonstration" });
  try {
    return [
      ...(await brief(client, signal)),
      ...(await tellOneTask(client, signal)),
      ...(await tellHealth(healthUrls)),
    ];
  } finally {
    await client.close();
  }
}

async function brief(client: Client, signal: AbortSignal): Promise<readonly string[]> {
  const run = await client.start(morningBriefing, { domains: [...domains], timeoutMs: 20_000 });
  tell(`morning briefing ${run.workflowId} asks ${domains.join(", ")}`);
  const { markdown, sections, cost, tokens } = await run.result({ timeoutMs: limitMs, signal });
  console.log(`\n${markdown}\n`);
  for (const { domain, taskId, knight } of sections) tell(`${domain.padEnd(9)} ${taskId}  ${knight ?? "no result"}`);
  tell(`cost of the run: $${cost.toFixed(4)}, ${tokens.input} tokens in, ${tokens.output} out: no model was asked`);
  const silent = sections.filter(({ missing }) => missing !== null).map(({ domain }) => domain);
  return silent.join() === "career"
    ? []
    : [`there is nothing from ${silent.join(", ") || "no domain"}, not from career`];
}

async function tellOneTask(client: Client, signal: AbortSignal): Promise<readonly string[]> {
  const handle = await dispatch(client, { domain: "security", task: "Is openssh-server safe?", priority: "high" });
  const ended = await handle.wait({ timeoutMs: limitMs, signal });
  const { status } = z.object({ status: z.string() }).parse({ status: ended.state });
  tell(`${handle.taskId}: ${status} by ${ended.agentId ?? "nobody"}, asked about one package`);
  return status === "completed" ? [] : [`task ${handle.taskId} ended ${status}`];
}

async function tellHealth(urls: readonly string[]): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const url of urls) {
    const { status, jetstream, consumer, tasks } = Health.parse(await (await fetch(url)).json());
    const done = `${tasks.succeeded} done, ${tasks.failed} failed, ${consumer.pending} waiting`;
    tell(`${consumer.name} is ${status}: JetStream answers in ${jetstream.ping_ms} ms; ${done}`);
    if (status !== "healthy") faults.push(`${consumer.name} is ${status}`);
  }
  return faults;
}

async function main(): Promise<number> {
  const stopping = new AbortController();
  const members: MemberProcess[] = [];
  const killAll = (): void => {
    for (const member of members) member.kill();
  };
  process.once("exit", killAll);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => stopping.abort(new Interrupted(signal)));
  }
  const interrupted = new Promise<never>((_, reject) => {
    stopping.signal.addEventListener("abort", () => reject(stopping.signal.reason));
  });
  interrupted.catch(() => undefined);

  const system = await startLocalSystem({ onNotice: tell });
  try {
    tell(`nats-server and orchestrator on ${system.url}`);
    const faults = await Promise.race([play(system.url, members, stopping.signal), interrupted]);
    for (const fault of faults) console.error(`knights: ${fault}`);
    if (faults.length === 0) tell("everything held");
    return faults.length === 0 ? 0 : 1;
  } finally {
    await Promise.all(members.map((member) => member.end()));
    await system.stop();
    process.off("exit", killAll);
  }
}

try {
  process.exitCode = await main();
} catch (fault) {
  const isExpected = fault instanceof PerdureError || fault instanceof Interrupted;
  const text = fault instanceof Error ? (isExpected ? fault.message : (fault.stack ?? fault.message)) : String(fault);
  console.error(`knights: ${text}`);
  process.exitCode = fault instanceof Interrupted ? fault.exit : 1;
}
