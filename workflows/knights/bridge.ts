/**
 * The fleet as agents of ours, one a domain: our tasks reach the knights in the fleet's words, and their results end our
 * tasks. Besides, what other dispatchers publish is listened to, so that it is seen as tasks of ours as well.
 */
import { defineBridge, member, request, staticMember, taskIdOf } from "perdure/bridges";
import { HeardResult, KnightTask, resultSubject, taskSubject } from "./messages.js";
import { fleetAgents, KnightRequest, taskTypeOf, timeoutMsDefault } from "./tasks.js";
import { fleetTopology, resultsStream } from "./topology.js";

export const dispatcherName = "tim";

/** A knight takes one task at a time, so a task may wait for its turn; and its result needs a moment to travel. */
const answerGraceMs = 30_000;
/** Waiting costs a bridge nothing. */
const tasksAtOnce = 1_000;

export interface FleetBridgeOptions {
  /** How long, beyond a task's own time-out, an answer is waited for. */
  readonly answerGraceMs?: number;
}

export function fleetBridge(options: FleetBridgeOptions = {}) {
  const graceMs = options.answerGraceMs ?? answerGraceMs;
  const members = fleetAgents.map(({ agentId, capability }) => [
    agentId,
    member({
      presence: staticMember({ agentId, capabilities: [capability], maxConcurrentTasks: tasksAtOnce }),
      foreignId: ({ input }) => KnightRequest.parse(input).task_id,
      request: ({ input, priority }) => {
        const { task_id, domain, task, timeout_ms, dispatched_by } = KnightRequest.parse(input);
        if (dispatched_by !== undefined) return undefined;
        const body: KnightTask = {
          task,
          task_id,
          domain,
          dispatched_by: dispatcherName,
          timestamp: new Date().toISOString(),
          metadata: { priority, timeout_ms },
        };
        return { subject: taskSubject(domain, task_id), body, messageId: task_id };
      },
      delivery: "atMostOnce",
      answerWithinMs: ({ input }) => KnightRequest.parse(input).timeout_ms + graceMs,
      result: {
        from: { all: "fleet-a.results.>", subject: resultSubject, stream: resultsStream },
        schema: HeardResult,
        foreignId: ({ task_id }) => task_id,
        outcome: (result) => {
          const { success, cost, tokens, model } = result;
          const usage = { cost, tokens, model: model.slice(0, 256) };
          const kept = shortened(result.result, `all of it is on ${resultSubject(result.task_id)}`);
          if (success) return { status: "completed", output: { ...result, result: kept }, usage };
          return { status: "failed", error: { type: "KNIGHT_FAILED", message: result.result }, usage };
        },
      },
    }),
  ]);
  return defineBridge("knights", {
    topology: fleetTopology,
    requests: {
      dispatched: request({
        // An id may have dots.
        from: { subject: "fleet-a.tasks.*.>" },
        schema: KnightTask,
        task: ({ task_id, domain, task, dispatched_by, metadata }) => ({
          taskId: taskIdOf(task_id),
          type: taskTypeOf(domain),
          priority: priorityOf(metadata.priority),
          retry: { maximumAttempts: 5 },
          input: {
            ...{ task_id, domain, dispatched_by },
            task: shortened(task, "the fleet has all of it"),
            timeout_ms: metadata.timeout_ms ?? timeoutMsDefault,
          } satisfies KnightRequest,
        }),
        ack: "onAccepted",
      }),
    },
    members: Object.fromEntries(members),
  });
}

/** A field of ours takes 131,072 bytes of JSON, of which a character has six at most; the fleet's take what the server does. */
function shortened(text: string, where: string): string {
  if (Buffer.byteLength(JSON.stringify(text)) <= 100_000) return text;
  return `${text.slice(0, 16_000)}\n\n_Cut here: ${where}._`;
}

/** Dispatchers have their own words for it. */
function priorityOf(word: string): "critical" | "high" | "normal" | "low" {
  switch (word.toLowerCase()) {
    case "critical":
    case "urgent":
      return "critical";
    case "high":
      return "high";
    case "low":
      return "low";
    default:
      return "normal";
  }
}
