/**
 * What a brain has others do, as agents of ours: the workers as one agent that is given jobs, each extension as one that is
 * called for its tools, the task pods as one that launches programs.
 */
import {
  announcedMembers,
  announcement,
  type Bridge,
  defineBridge,
  type MemberOutcome,
  member,
  staticMember,
  taskIdOf,
} from "perdure/bridges";
import { resultKey } from "./job-book.js";
import {
  Announcement,
  ExtensionBeat,
  Goodbye,
  Job,
  JobResult,
  JobStatus,
  PodResult,
  PodStatus,
  subject,
  ToolResult,
} from "./messages.js";
import { brainTopology, type JobSettings, memoryBucket } from "./topology.js";
import type { Tracing } from "./tracing.js";
import { PodTask, podTask, toolType } from "./workflows.js";

interface AnyResult {
  readonly status: "completed" | "failed";
  readonly output?: unknown;
  readonly error?: { readonly type: string; readonly message: string } | undefined;
}

export interface BrainBridgeOptions {
  readonly namespace: string;
  readonly tracing: Tracing;
  readonly settings: JobSettings;
  /** An extension without a heartbeat for so long is lost, and its tools are offered no more. */
  readonly extensionLostAfterMs: number;
}

/** The type of the task that stands for a job of ours, from its dispatch to its result. */
export const dispatchType = "baker.dispatch";
export const dispatchId = (jobId: string): string => `dispatch-${taskIdOf(jobId)}`;
const EXTENSION = "extension-";
export const extensionAgentId = (extensionId: string): string => `${EXTENSION}${extensionId}`;

/** Of ours, at most so many wait in the stream, whose bound is 10,000 messages of everybody; others wait with the engine. */
const JOBS_MAX = 1_000;
const PODS_MAX = 100;

export function brainBridge({ namespace, tracing, settings, extensionLostAfterMs }: BrainBridgeOptions): Bridge {
  const bucket = memoryBucket(namespace);
  /** A message is a hop of its own. */
  const sent = (name: string, kind: "send" | "call", parent: string | undefined, id: string) => {
    const hop = tracing.hop(name, kind, parent, { "baker.id": id });
    hop.end();
    return { traceparent: hop.traceparent };
  };

  const jobs = member({
    presence: staticMember({ agentId: "baker-workers", capabilities: [dispatchType], maxConcurrentTasks: JOBS_MAX }),
    foreignId: ({ input }) => Job.parse(input).jobId,
    request: ({ input, traceparent }, jobId) => ({
      subject: subject.dispatch,
      body: input,
      messageId: `dispatch-${jobId}`,
      headers: sent("dispatch", "send", traceparent, jobId),
    }),
    delivery: "atLeastOnce",
    result: {
      // Not from the queue: there a result is gone once a brain has read it, and the brain that waits may be the next one.
      from: {
        all: `$KV.${bucket}.result.*`,
        subject: (jobId) => `$KV.${bucket}.${resultKey(jobId)}`,
        stream: `KV_${bucket}`,
      },
      schema: JobResult,
      foreignId: ({ jobId }) => jobId,
      outcome: (body) => outcomeOf(body),
    },
    status: {
      subject: subject.anyJobStatus,
      schema: JobStatus,
      foreignId: ({ jobId }) => jobId,
      progress: (body) => body,
    },
  });

  const extensions = member({
    presence: announcedMembers({
      announce: announcement(subject.announce, Announcement, ({ id, capabilities, maxConcurrent }) => ({
        agentId: extensionAgentId(id),
        capabilities: capabilities.map(({ name }) => toolType(name)),
        maxConcurrentTasks: maxConcurrent,
      })),
      heartbeat: announcement(subject.heartbeat, ExtensionBeat, ({ id, metrics }) => ({
        agentId: extensionAgentId(id),
        metrics,
      })),
      goodbye: announcement(subject.deregister, Goodbye, ({ id }) => extensionAgentId(id)),
      lostAfterMs: extensionLostAfterMs,
    }),
    request: ({ input, traceparent, agentId }, callId) => ({
      subject: subject.toolCall(agentId.slice(EXTENSION.length)),
      body: { callId, ...(input as object), resultSubject: subject.toolResult(callId) },
      headers: sent("call", "call", traceparent, callId),
      via: "core",
    }),
    delivery: "atLeastOnce",
    result: {
      from: { all: subject.toolResult("*"), subject: subject.toolResult },
      schema: ToolResult,
      foreignId: ({ callId }) => callId,
      outcome: (body) => outcomeOf(body),
    },
  });

  const pods = member({
    presence: staticMember({ agentId: "baker-pods", capabilities: [podTask.name], maxConcurrentTasks: PODS_MAX }),
    request: ({ input, traceparent }, taskId) => ({
      subject: subject.launch,
      body: { taskId, ...PodTask.parse(input) },
      headers: sent("launch", "call", traceparent, taskId),
      via: "core",
    }),
    delivery: "atLeastOnce",
    result: {
      from: { all: subject.podResult("*"), subject: subject.podResult },
      schema: PodResult,
      foreignId: ({ taskId }) => taskId,
      outcome: (body) => outcomeOf(body),
    },
    status: {
      subject: subject.anyPodStatus,
      schema: PodStatus,
      foreignId: ({ taskId }) => taskId,
      progress: (body) => body,
    },
  });

  return defineBridge("baker-brain", {
    topology: brainTopology(namespace, settings),
    members: { jobs, extensions, pods },
  });
}

function outcomeOf({ status, output, error }: AnyResult): MemberOutcome {
  if (status === "completed") return { status, output: output ?? null };
  return { status, error: { type: error?.type ?? "JobFailed", message: error?.message ?? "no reason was given" } };
}
