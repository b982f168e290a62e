/**
 * `npm run demo`: an audit of a real project's dependencies, by agents that are processes of their own, on a nats-server
 * of its own; one of the agents is killed with kill -9 half-way. Everything it starts ends with it, however it ends.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { access, constants, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { type Client, connectClient, TaskFailedError } from "perdure";
import { type Child, Children } from "./children.js";
import { crew } from "./crew.js";
import { DemoStopped, demoExit, endingOf } from "./demo-exit.js";
import { type DemoOptions, demoHelp, parseDemoOptions, workingFolderOf } from "./demo-options.js";
import { checkEndedOnce } from "./ended-once.js";
import { Lifetime } from "./lifetime.js";
import { LiveOutput } from "./live-output.js";
import { type AuditReport, packageTaskTypes } from "./messages.js";
import { unpackReport } from "./packed-report.js";
import { environmentFor, packageFolder, perdureScript, showStatus } from "./perdure-command.js";
import { type AuditPlan, type PlannedTask, partsOf, planAudit, submissionBatches } from "./plan.js";
import { renderMarkdown } from "./render-markdown.js";
import { renderTable, terminalStyle } from "./render-table.js";
import { type AgentAtWork, stopOneAtWork } from "./stop-at-work.js";
import { surveyProject } from "./survey.js";
import { WatchedAudit } from "./watched-audit.js";

const namespace = "mcp";
/** Short, so that the orchestrator's verdict on the killed agent can be waited for. */
const heartbeat = "1s";
/** The first time, it may have to fetch nats-server. */
const engineReadyLimitMs = 180_000;
const agentReadyLimitMs = 30_000;
/** 1,600 packages take some ten seconds; beyond this, what the task waits for is told and the demo ends. */
const auditLimitMs = 300_000;
/** Of the first part, how much has ended when an agent is chosen to be killed: a third of a small audit. */
const killAtShare = 2 / 3;
/** Six heartbeats, twice that in the first seconds of a leader, and some for a loaded machine. */
const givenUpLimitMs = 20_000;
/** An agent has handed in or handed back its work by then, and the orchestrator has written what it knows. */
const endGraceMs = 10_000;

interface Stage {
  readonly lifetime: Lifetime;
  readonly children: Children;
  readonly storeFolder: string;
  readonly output: LiveOutput;
  /** A line of the story; `at` is by performance.now(), and now unless given. */
  readonly tell: (sentence: string, at?: number) => void;
}

async function tellStory(options: DemoOptions, plan: AuditPlan, stage: Stage): Promise<void> {
  const { output, tell } = stage;
  const { orStopped, signal } = stage.lifetime;
  const serverUrl = await orStopped(startEngine(stage));
  tell(`perdure dev is ready: nats-server and orchestrator on ${serverUrl}`);
  const agents = await orStopped(startCrew(stage, serverUrl));
  tell(`${agents.length} agents are registered, each a process of its own:`);
  for (const { name, pid } of agents) {
    const capabilities = crew.find(({ agentId }) => agentId === name)?.capabilities ?? [];
    output.say(`           ${name} (pid ${pid}): ${capabilities.join(", ")}`);
  }

  const connecting = connectClient({ servers: serverUrl, namespace, name: "perdure demo" });
  try {
    const client = await orStopped(connecting);
    const { report, killed } = await runAudit(plan, stage, client, agents);
    await writeMarkdown(options, report);
    output.say(`\n${renderTable(report, terminalStyle(process.stdout, process.env))}`);
    output.say(`The report as Markdown: ${options.markdownPath}\n`);
    output.say("perdure status:");
    await orStopped(showStatus(serverUrl, signal));
    output.say("");
    tell(`${doneSentence(plan, killed)} Stopping agents, orchestrator and nats-server.`);
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
  readonly killed: AgentAtWork | null;
}

/** @throws DemoStopped unless the report is there and every task completed exactly once. */
async function runAudit(
  plan: AuditPlan,
  stage: Stage,
  client: Client,
  agents: readonly Child[],
): Promise<FinishedAudit> {
  const { output, tell } = stage;
  const { orStopped } = stage.lifetime;
  const taskIds = taskIdsOf(plan);
  const audit = new WatchedAudit({ auditId: plan.auditId, client, agents, taskCount: taskIds.length, output, tell });
  audit.start();
  try {
    const killed = await submitAndKill(plan, stage, client, agents, audit);
    const report = await orStopped(finishedReport(client, audit, plan.reportTask.taskId));
    audit.tellAll();
    const left = killed === null || audit.isSettled ? "" : `; what is left is the verdict on ${killed.agent.name}`;
    tell(`the report is there${left}`);
    await orStopped(audit.untilSettled(givenUpLimitMs));
    const { endedTaskCounts } = await orStopped(client.status());
    const endsCounted = Object.values(endedTaskCounts).reduce((sum, count) => sum + count, 0);
    const announcedTwice = audit.endedTwice;
    const { faults, tasks } = await orStopped(checkEndedOnce({ client, taskIds, endsCounted, announcedTwice }));
    if (faults.length > 0) throw new DemoStopped(demoExit.failed, `the audit does not add up: ${faults.join("; ")}.`);
    const again = tasks.filter(({ attempt }) => attempt > 1).length;
    const each = `asked for each of the ${taskIds.length} tasks: every one completed, exactly once`;
    tell(`${each} (${again} as attempt 2 or later)`);
    return { report, killed };
  } finally {
    audit.stop();
  }
}

/**
 * Half-way is where the second part is submitted: the agents are stopped before and one is killed after it, so it has
 * work in its hands however fast they are. Null if there was too little for that.
 */
async function submitAndKill(
  plan: AuditPlan,
  { lifetime: { orStopped }, tell }: Stage,
  client: Client,
  agents: readonly Child[],
  audit: WatchedAudit,
): Promise<AgentAtWork | null> {
  const [firstPart, secondPart] = partsOf(plan);
  const submit = async (tasks: readonly PlannedTask[]): Promise<void> => {
    for (const batch of submissionBatches(tasks)) await orStopped(client.submitAll(batch));
  };
  await submit(firstPart);
  tell(`submitted ${firstPart.length} tasks, the first part`);
  const due = Math.ceil(firstPart.length * killAtShare);
  if (!(await orStopped(audit.untilEnded(due, auditLimitMs)))) {
    throw new DemoStopped(demoExit.failed, `not even ${due} tasks ended within ${auditLimitMs / 1_000} s.`);
  }
  const atWork = await orStopped(
    stopOneAtWork(client, agents, async () => {
      await submit(secondPart);
      tell(`submitted the rest (${secondPart.length - 1}), and the report that depends on all of them`);
    }),
  );
  if (atWork === null) tell("no work was left to kill an agent at; try a larger project");
  else await orStopped(audit.kill(atWork));
  return atWork;
}

function taskIdsOf({ packageTasks, reportTask }: AuditPlan): readonly string[] {
  return [...packageTasks, reportTask].map(({ taskId }) => taskId);
}

function doneSentence(plan: AuditPlan, killed: AgentAtWork | null): string {
  const all = `Done: ${taskIdsOf(plan).length} tasks, each exactly once`;
  if (killed === null) return `${all}; no agent was killed.`;
  const held = killed.tasks.length === 1 ? "the one" : `the ${killed.tasks.length}`;
  return `${all}, ${held} in the hands of ${killed.agent.name} when it was killed included.`;
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
async function startCrew({ children }: Stage, serverUrl: string): Promise<readonly Child[]> {
  const script = fileURLToPath(new URL("./auditor.js", import.meta.url));
  const environment = environmentFor(serverUrl);
  const agents = crew.map(({ agentId, capabilities }) => {
    const who = ["--id", agentId, "--capabilities", capabilities.join(",")];
    const where = ["--server", serverUrl, "--namespace", namespace];
    return children.start(agentId, { script, args: [...who, ...where], environment });
  });
  await Promise.all(agents.map((agent) => agent.firstLine(agentReadyLimitMs)));
  return agents;
}

async function finishedReport(client: Client, audit: WatchedAudit, taskId: string): Promise<AuditReport> {
  try {
    return unpackReport(await client.result(taskId, { timeoutMs: auditLimitMs }));
  } catch (error) {
    if (!(error instanceof TaskFailedError)) throw error;
    const [first] = audit.failures;
    if (first?.error === undefined || first.error === null) throw error;
    const { type, message } = first.error;
    const sentence = `there is no report: task ${first.taskId} failed, ${type}: ${message}`;
    throw new DemoStopped(demoExit.failed, sentence, { cause: error });
  }
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
  const plan = planAudit(await surveyProject(options.projectPath), auditId);
  const startedAt = performance.now();
  const output = new LiveOutput(process.stdout);
  const tell = (sentence: string, at = performance.now()): void => {
    output.say(`${((at - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${sentence}`);
  };
  const packages = plan.packageTasks.length / packageTaskTypes.length;
  output.say(
    `An audit of ${options.projectPath}: ${packages} installed packages, ${plan.packageTasks.length} tasks and a report.`,
  );

  const lifetime = new Lifetime();
  lifetime.obeySurroundings();
  const children = new Children((reason) => lifetime.stop(reason));
  const storeFolder = await mkdtemp(join(tmpdir(), "perdure-demo-"));
  const removeStore = (): void => rmSync(storeFolder, { recursive: true, force: true });
  process.once("exit", removeStore);
  try {
    await tellStory(options, plan, { lifetime, children, storeFolder, output, tell });
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
