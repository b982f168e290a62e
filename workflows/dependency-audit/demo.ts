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
import type { Killed } from "./kill-half-way.js";
import { Lifetime } from "./lifetime.js";
import { LiveOutput } from "./live-output.js";
import { type AuditReport, packageTaskTypes } from "./messages.js";
import { unpackReport } from "./packed-report.js";
import { environmentFor, packageFolder, perdureScript, showStatus } from "./perdure-command.js";
import { type AuditPlan, planAudit, submissionBatches } from "./plan.js";
import { renderMarkdown } from "./render-markdown.js";
import { renderTable, terminalStyle } from "./render-table.js";
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
/** Six heartbeats, twice that in the first seconds of a leader, and some for a loaded machine. */
const givenUpLimitMs = 20_000;
/** An agent has handed in or handed back its work by then, and the orchestrator has written what it knows. */
const endGraceMs = 10_000;

interface Stage {
  readonly children: Children;
  readonly storeFolder: string;
  readonly output: LiveOutput;
  /** A line of the story; `at` is by performance.now(), and now unless given. */
  readonly tell: (sentence: string, at?: number) => void;
  readonly orStopped: Lifetime["orStopped"];
}

async function tellStory(options: DemoOptions, plan: AuditPlan, stage: Stage): Promise<void> {
  const { children, output, orStopped, tell } = stage;
  const taskIds = [...plan.packageTasks, plan.reportTask].map(({ taskId }) => taskId);

  const serverUrl = await orStopped(startEngine(children, stage.storeFolder));
  tell(`perdure dev is ready: nats-server and orchestrator on ${serverUrl}`);
  const agents = crew.map((member) => startAgent(children, serverUrl, member));
  await orStopped(Promise.all(agents.map((agent) => agent.firstLine(agentReadyLimitMs))));
  tell(`${agents.length} agents are registered, each a process of its own:`);
  for (const { agentId, capabilities } of crew) {
    const pid = agents.find(({ name }) => name === agentId)?.pid;
    output.say(`           ${agentId} (pid ${pid}): ${capabilities.join(", ")}`);
  }

  const client = await orStopped(connectClient({ servers: serverUrl, namespace, name: "perdure demo" }));
  const audit = new WatchedAudit({ auditId: plan.auditId, client, agents, taskCount: taskIds.length, output, tell });
  try {
    audit.start();
    for (const batch of submissionBatches(plan)) await orStopped(client.submitAll(batch));
    tell(`submitted ${plan.packageTasks.length} tasks and the report that depends on all of them`);
    const report = await orStopped(finishedReport(client, audit, plan.reportTask.taskId));
    const killed = await orStopped(audit.killed());
    if (killed === null) {
      tell("the report is there; it was over before an agent could be killed at work, try a larger project");
    } else {
      const left = audit.isSettled ? "" : `; what is left is the orchestrator's verdict on ${killed.agentId}`;
      tell(`the report is there${left}`);
      await orStopped(audit.untilSettled(givenUpLimitMs));
    }
    await orStopped(audit.stop());

    const { endedTaskCounts } = await orStopped(client.status());
    const endsCounted = Object.values(endedTaskCounts).reduce((sum, count) => sum + count, 0);
    const announcedTwice = audit.endedTwice;
    const { faults, tasks } = await orStopped(checkEndedOnce({ client, taskIds, endsCounted, announcedTwice }));
    if (faults.length > 0) throw new DemoStopped(demoExit.failed, `the audit does not add up: ${faults.join("; ")}.`);
    const again = tasks.filter(({ attempt }) => attempt > 1).length;
    tell(
      `asked for each of the ${taskIds.length} tasks: every one completed, exactly once (${again} as attempt 2 or later)`,
    );

    await writeMarkdown(options, report);
    output.say(`\n${renderTable(report, terminalStyle(process.stdout, process.env))}`);
    output.say(`The report as Markdown: ${options.markdownPath}\n`);
    output.say("perdure status:");
    await orStopped(showStatus(serverUrl));
    output.say("");
    tell(`${lossSentence(killed, taskIds.length)} Stopping agents, orchestrator and nats-server.`);
  } finally {
    await client.close();
    await audit.stop().catch(() => undefined);
  }
}

function lossSentence(killed: Killed | null, tasks: number): string {
  if (killed === null) return `Done: ${tasks} tasks, each exactly once; no agent was killed.`;
  const held = killed.tasks.length === 1 ? "the task" : `the ${killed.tasks.length} tasks`;
  return `Done: ${tasks} tasks, each exactly once, ${held} of ${killed.agentId} included, which was killed.`;
}

async function startEngine(children: Children, storeFolder: string): Promise<string> {
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

function startAgent(children: Children, serverUrl: string, member: (typeof crew)[number]): Child {
  const { agentId, capabilities } = member;
  return children.start(agentId, {
    script: fileURLToPath(new URL("./auditor.js", import.meta.url)),
    args: ["--id", agentId, "--capabilities", capabilities.join(","), "--server", serverUrl, "--namespace", namespace],
    environment: environmentFor(serverUrl),
  });
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
    await tellStory(options, plan, { children, storeFolder, output, tell, orStopped: lifetime.orStopped });
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
