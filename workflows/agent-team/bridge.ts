/** The team's place on the shared server: reports and tasks come in, updates and results go out. */
import type { EndedTask } from "perdure";
import {
  defineBridge,
  GivenUpError,
  type Outgoing,
  publication,
  type Received,
  request,
  type Screening,
} from "perdure/bridges";
import { signatureOf } from "./error-signature.js";
import type { Investigation } from "./investigation.js";
import { ErrorReport, type Rejected, Result, TeamTask, Update } from "./messages.js";
import { type Environment, environments, type TeamNames } from "./names.js";
import { fileLengthMax, screenedLengthMax } from "./screen/readings.js";
import { ruleScreen } from "./screen/rule-screen.js";
import { mayPass, type Screen } from "./screen/screen.js";
import { errorFixer, taskProcessor, topologyOf } from "./topology.js";

/** Each of them runs tests; the others wait on the server. */
const investigationsAtOnce = 4;
const previewLength = 100;
/** The specialists need the text to recognise the error, not all that somebody put into it. */
const errorLengthMax = 2_000;
/** A task whose type nobody on the team takes does not stay for ever. */
const taskPatienceMs = 24 * 60 * 60 * 1_000;

export function teamBridge(names: TeamNames, screen: Screen = ruleScreen) {
  const { streams, subjects, type, engineId } = names;
  const rejected = (text: string): Outgoing => {
    const body: Rejected = {
      reason: "prompt_injection_detected",
      preview: [...text].slice(0, previewLength).join(""),
      timestamp: new Date().toISOString(),
    };
    // No stream of the project takes it: it is for whoever watches.
    return { subject: subjects.rejected, body, via: "core" };
  };
  const screened = async (report: ErrorReport, text: string): Promise<Screening> =>
    (await mayPass(screen, report)) ? { verdict: "pass" } : { verdict: "rejected", publish: rejected(text) };
  const reports = (environment: Environment) =>
    request({
      from: { stream: streams.errors[environment], consumer: errorFixer },
      schema: ErrorReport,
      maxConcurrent: investigationsAtOnce,
      screen: (report) => screened(report, report.error),
      task: (report, message) => {
        const task_id = investigationIdOf(environment, report, message);
        const { file, line } = report.context;
        return {
          taskId: engineId(task_id),
          type: `workflow:${type("investigate-error")}`,
          priority: environment === "production" ? "high" : "normal",
          input: {
            task_id,
            environment,
            error: report.error.slice(0, errorLengthMax),
            place: { file: file.slice(0, fileLengthMax), line },
          } satisfies Investigation,
        };
      },
      // The result is out by then: it is the workflow's last step.
      ack: "onEnded",
    });
  return defineBridge(`agent-team-${names.project}`, {
    topology: topologyOf(names),
    requests: {
      ...Object.fromEntries(environments.map((environment) => [`errors-${environment}`, reports(environment)])),
      tasks: request({
        from: { stream: streams.tasks, consumer: taskProcessor },
        schema: TeamTask,
        screen: (given) => {
          // Agents are given all of a task, so all of it has to be read here.
          if (JSON.stringify(given).length > screenedLengthMax) {
            throw new GivenUpError(
              `task ${given.task_id} is longer than the ${screenedLengthMax} characters that are screened`,
            );
          }
          const { description, ...others } = given;
          return screened(asReport(description, others), description);
        },
        task: ({ task_id, type: taskType, priority, description, assigned_to, context }) => ({
          taskId: engineId(task_id),
          type: type(taskType),
          priority: priorityOf(priority),
          scheduleToCloseMs: taskPatienceMs,
          metadata: { task_id, assigned_to },
          input: { ...context, description },
        }),
        ack: "onEnded",
        outcome: (ended, { task_id, assigned_to }) => resultOf(names, ended, task_id, assigned_to ?? ""),
      }),
    },
    publications: {
      update: publication({
        schema: Update,
        to: (update) => ({ subject: subjects.status(update.task_id), body: update }),
      }),
      result: publication({
        schema: Result,
        to: (result) => ({ subject: subjects.fixed(result.task_id), body: result }),
      }),
    },
  });
}

/**
 * The same message is the same investigation, however often it is delivered; the same error after a deployment is another
 * message, and another investigation.
 */
function investigationIdOf(
  environment: Environment,
  report: ErrorReport,
  { stored, replay }: Received<ErrorReport>,
): string {
  const when = stored === undefined ? "" : `-${stored.storedAt}-${stored.sequence}`;
  return `${environment}-${signatureOf(report).slice(0, 12)}${when}${replay === 0 ? "" : `-r${replay}`}`;
}

/** A task is read by agents as well, so what is not read as a report is screened as one. */
function asReport(text: string, context: Readonly<Record<string, unknown>>): ErrorReport {
  return { error: text, stack: "", timestamp: new Date().toISOString(), context: { file: "-", line: 0, ...context } };
}

function resultOf({ subjects }: TeamNames, ended: EndedTask, taskId: string, agent: string): Outgoing {
  const body: Result = {
    task_id: taskId,
    agent: ended.agentId ?? agent,
    status: ended.state,
    solution:
      ended.state === "completed" ? JSON.stringify(ended.output ?? null) : (ended.error?.message ?? ended.reason ?? ""),
    pr_url: "",
    test_results: "",
  };
  return { subject: subjects.fixed(taskId), body };
}

function priorityOf(word: TeamTask["priority"]): "critical" | "high" | "normal" | "low" {
  const known = { critical: "critical", urgent: "critical", high: "high", low: "low" } as const;
  return known[String(word).toLowerCase() as keyof typeof known] ?? "normal";
}
