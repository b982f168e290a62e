/**
 * `npm run demo`: an audit of a real project's dependencies, as a workflow, on a nats-server of its own; half-way an agent
 * and the worker that holds the run are killed with kill -9. Everything it starts ends with it, however it ends.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { access, constants, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Client, connectClient, type RunHandle, type SystemEvent } from "perdure";
import { z } from "zod";
import { type Child, Children } from "./children.js";
import { auditors, workerIds } from "./crew.js";
import { DemoStopped, demoExit, endingOf } from "./demo-exit.js";
import { type DemoOptions, demoHelp, parseDemoOptions, workingFolderOf } from "./demo-options.js";
import { agentAtWork, type Killed, untilCompleted, workerOf, workersOfTurns } from "./kill-at-work.js";
import { Lifetime } from "./lifetime.js";
import type { AuditReport } from "./messages.js";
import { unpackReport } from "./packed-report.js";
import { environmentFor, packageFolder, perdureScript } from "./perdure-command.js";
import { type AuditPlan, planAudit } from "./plan.js";
import { checkCountOf, faultsOf, recordedRuns, replayFaultsOf } from "./proof.js";
import { renderMarkdown } from "./render-markdown.js";
import { renderTable, terminalStyle } from "./render-table.js";
import { surveyProject } from "./survey.js";
import { checkLicence, dependencyAudit } from "./workflows.js";

const namespace = "mcp";
/** Short, so that the orchestrator's verdict on the killed agent can be waited for. */
const heartbeat = "1s";
/** The first time, it may have to fetch nats-server. */
const engineReadyLimitMs = 180_000;
const memberReadyLimitMs = 30_000;
/** 1,600 packages take half a minute. Beyond this the demo ends. */
const auditLimitMs = 300_000;
/** How long half of the agents stand still at most: three heartbeats without one and they are taken for unhealthy. */
const standingMs = 2_000;
/** An agent has handed in or handed back its work by then, and the orchestrator has written what it knows. */
const endGraceMs = 10_000;

/** Of a system event, what the story needs. */
const AboutAgent = z.object({
  agentId: z.string().nullish(),
  taskId: z.string().optional(),
  reason: z.string().optional(),
  error: z.object({ type: z.string() }).nullish(),
});

interface Stage {
  readonly lifetime: Lifetime;
  readonly children: Children;
  readonly storeFolder: string;
  readonly say: (text: string) => void;
  /** A line of the story, with its time. */
  readonly tell: (sentence: string) => void;
}

interface Crew {
  readonly agents: readonly Child[];
  readonly workers: readonly Child[];
}

async function tellStory(options: DemoOptions, plan: AuditPlan, auditId: string, stage: Stage): Promise<void> {
  const { say, tell } = stage;
  const { orStopped } = stage.lifetime;
  const serverUrl = await orStopped(startEngine(stage));
  tell(`perdure dev is ready: nats-server and orchestrator on ${serverUrl}`);
  const crew = await orStopped(startCrew(stage, serverUrl));
  const named = (members: readonly Child[]) => members.map(({ name, pid }) => `${name} (pid ${pid})`).join(", ");
  tell(`registered, each a process of its own: ${named(crew.agents)}`);
  tell(`and to run the workflow: ${named(crew.workers)}`);

  const connecting = connectClient({ servers: serverUrl, namespace, name: "perdure demo" });
  try {
    const client = await orStopped(connecting);
    const { report, killed } = await runAudit(plan, auditId, stage, client, crew);
    await writeMarkdown(options, report);
    say(`\n${renderTable(report, terminalStyle(process.stdout, process.env))}`);
    say(`The report as Markdown: ${options.markdownPath}\n`);
    const deaths = `${killed.agent.name} and ${killed.worker.name} were killed at work`;
    tell(`Done: ${plan.packagePaths.length} packages, each audited exactly once, although ${deaths}.`);
  } finally {
    // Also one that was still being connected when the demo was stopped: it would keep the process.
    await connecting.then(
      (client) => client.close(),
      () => undefined,
    );
  }
}

interface FinishedAudit {
  readonly report: AuditReport;
  readonly killed: Killed;
}

/** @throws DemoStopped unless the report is complete and the histories say that everything was done exactly once. */
async function runAudit(
  { projectPath, packagePaths }: AuditPlan,
  auditId: string,
  stage: Stage,
  client: Client,
  crew: Crew,
): Promise<FinishedAudit> {
  const { tell } = stage;
  const { orStopped, signal } = stage.lifetime;
  const held = crew.agents.filter(({ name }) => canCheckEngines(name));
  for (const agent of held) agent.send("SIGSTOP");
  const run = await orStopped(client.start(dependencyAudit, { projectPath }, { workflowId: auditId }));
  const output = run.result({ timeoutMs: auditLimitMs, signal });
  const standing = held.map(({ name }) => name).join(" and ");
  tell(`started workflow ${auditId}; ${standing} stand still (SIGSTOP) with what they are given`);
  // A run that fails before is told at once.
  const licencesKnown = untilCompleted(client, checkLicence.name, packagePaths.length);
  await orStopped(Promise.race([licencesKnown, delay(standingMs, undefined, { ref: false }), output]));

  const killed = await orStopped(killTwo(client, run, held, crew, stage));
  const watching = client.onEvent((event) => tellVerdict(event, killed, tell));
  const { packages, audited } = await orStopped(run.query("progress"));
  tell(`asked how far it is, the run answers from the other worker: ${audited} of ${packages} packages`);
  for (const agent of held) agent.send("SIGCONT");
  const packed = await orStopped(output);
  watching.unsubscribe();
  const report = unpackReport(packed);
  await orStopped(tellHowItWentOn(client, run, killed, tell));

  const runs = await orStopped(recordedRuns(client, auditId));
  const faults = [...faultsOf(runs, packagePaths), ...(await orStopped(replayFaultsOf(runs)))];
  if (report.rows.length !== packagePaths.length) {
    faults.push(`the report has ${report.rows.length} of ${packagePaths.length} packages`);
  }
  if (faults.length > 0) throw new DemoStopped(demoExit.failed, `the audit does not add up: ${faults.join("; ")}.`);
  tell(
    `in ${runs.length} histories: ${checkCountOf(runs)} checks of ${packagePaths.length} packages, each exactly once`,
  );
  tell("every history replays: today's code asks for what it asked for then");
  return { report, killed };
}

/** Only they do; while they stand still the audit cannot end. */
function canCheckEngines(agentId: string): boolean {
  return auditors.some((auditor) => auditor.agentId === agentId && auditor.capabilities.includes("audit-engines"));
}

async function killTwo(
  client: Client,
  run: RunHandle<typeof dependencyAudit>,
  held: readonly Child[],
  { workers }: Crew,
  { tell }: Stage,
): Promise<Killed> {
  const killed = { ...(await agentAtWork(client, held)), ...(await workerOf(run, workers)) };
  const { agent, tasks, worker } = killed;
  agent.kill();
  worker.kill();
  await Promise.all([agent.ended, worker.ended]);
  const inHand = tasks.length === 1 ? "1 task" : `${tasks.length} tasks`;
  tell(`kill -9 ${agent.pid}: ${agent.name} is dead with ${inHand} in its hands`);
  tell(`kill -9 ${worker.pid}: ${worker.name}, which held the run, is dead`);
  return killed;
}

/** What the orchestrator says about the dead and does with what they had in hand. */
function tellVerdict({ eventType, payload }: SystemEvent, { agent, tasks, worker }: Killed, tell: Stage["tell"]): void {
  const { agentId, taskId, reason, error } = AboutAgent.parse(payload ?? {});
  if (agentId !== agent.name && agentId !== worker.name) return;
  if (eventType === "AGENT_UNHEALTHY") tell(`orchestrator: ${agentId} is unhealthy: ${reason}`);
  if (eventType === "AGENT_LOST") tell(`orchestrator: ${agentId} is lost: ${reason}`);
  if (eventType === "TASK_RETRYING" && taskId === tasks[0]?.taskId) {
    tell(`orchestrator: takes back what ${agentId} had in hand (${error?.type ?? "no reason given"})`);
  }
}

async function tellHowItWentOn(
  client: Client,
  run: RunHandle<typeof dependencyAudit>,
  { agent, tasks, worker, historyLength }: Killed,
  tell: Stage["tell"],
): Promise<void> {
  const redone = await Promise.all(tasks.map(({ taskId }) => client.get(taskId)));
  const by = [...new Set(redone.map(({ agentId }) => agentId))].join(" and ");
  const attempts = [...new Set(redone.map(({ attempt }) => attempt))].join(" or ");
  if (tasks.length > 0) tell(`what ${agent.name} had in hand was done by ${by}, as attempt ${attempts}`);
  const turns = workersOfTurns((await run.history()).slice(historyLength));
  tell(`the run went on on ${[...new Set(turns)].join(" and ")} from event ${historyLength}, not on ${worker.name}`);
}

async function startEngine({ children, storeFolder }: Stage): Promise<string> {
  const engine = children.start("perdure dev", {
    script: perdureScript(),
    args: ["dev", "--nats-port", "0", "--store-dir", storeFolder, "--heartbeat", heartbeat],
    environment: environmentFor(null),
  });
  const line = await engine.firstLine(engineReadyLimitMs);
  const [word, serverUrl] = line.split(" ");
  if (word !== "ready" || serverUrl === undefined) {
    throw new DemoStopped(
      demoExit.failed,
      `perdure dev began with "${line}" instead of "ready <nats url> <http url>".`,
    );
  }
  return serverUrl;
}

/** Resolves when all are registered. */
async function startCrew({ children }: Stage, serverUrl: string): Promise<Crew> {
  const environment = environmentFor(serverUrl);
  const start = (name: string, script: URL, args: readonly string[]): Child => {
    const where = ["--server", serverUrl, "--namespace", namespace];
    return children.start(name, {
      script: fileURLToPath(script),
      args: ["--id", name, ...args, ...where],
      environment,
    });
  };
  const workers = workerIds.map((id) => start(id, new URL("./worker.js", import.meta.url), []));
  const agents = auditors.map(({ agentId, capabilities }) =>
    start(agentId, new URL("./auditor.js", import.meta.url), ["--capabilities", capabilities.join(",")]),
  );
  await Promise.all([...workers, ...agents].map((member) => member.firstLine(memberReadyLimitMs)));
  return { agents, workers };
}

async function writeMarkdown({ markdownPath, markdownChosenBy }: DemoOptions, report: AuditReport): Promise<void> {
  await writeFile(markdownPath, renderMarkdown(report), { flag: markdownChosenBy === "user" ? "w" : "wx" });
}

/** A report that cannot be written is noticed before the audit, not after it. */
async function assertWritable(markdownPath: string): Promise<void> {
  const folder = dirname(markdownPath);
  try {
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw new DemoStopped(demoExit.usage, `--markdown: there is no folder ${folder} that can be written to.`, {
      cause,
    });
  }
}

async function run(options: DemoOptions, auditId: string): Promise<void> {
  await assertWritable(options.markdownPath);
  const { projectPath } = options;
  const plan = planAudit(await surveyProject(projectPath));
  const startedAt = performance.now();
  const say = (text: string): void => {
    process.stdout.write(`${text}\n`);
  };
  const tell = (sentence: string): void => {
    say(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${sentence}`);
  };
  say(
    `An audit of ${projectPath}: ${plan.packagePaths.length} installed packages, three checks of each, and a report.`,
  );

  const lifetime = new Lifetime();
  lifetime.obeySurroundings();
  const children = new Children((reason) => lifetime.stop(reason));
  const storeFolder = await mkdtemp(join(tmpdir(), "perdure-demo-"));
  const removeStore = (): void => rmSync(storeFolder, { recursive: true, force: true });
  process.once("exit", removeStore);
  try {
    await tellStory(options, plan, auditId, { lifetime, children, storeFolder, say, tell });
  } finally {
    await children.endAll(endGraceMs);
    removeStore();
  }
}

const auditId = `audit-${randomBytes(4).toString("hex")}`;
try {
  const options = parseDemoOptions(process.argv.slice(2), {
    projectPath: packageFolder,
    auditId,
    temporaryFolder: tmpdir(),
    workingFolder: workingFolderOf(process.env, process.cwd()),
  });
  if (options.kind === "help") process.stdout.write(demoHelp);
  else await run(options, auditId);
} catch (fault) {
  const { exit, sentence } = endingOf(fault);
  process.exitCode = exit;
  if (exit !== demoExit.outputClosed) process.stderr.write(`demo: ${sentence}\n`);
}
