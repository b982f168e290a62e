/**
 * What the members of Baker Street say to each other, by subject. The fleet's contract names the subjects and leaves the
 * fields open, so what is read here is read liberally: other spellings of a name are taken for it, and what is not known is
 * kept and passed on.
 */
import { z } from "zod";

export const subject = {
  dispatch: "baker.jobs.dispatch",
  jobStatus: (jobId: string): string => `baker.jobs.status.${jobId}`,
  jobResult: (jobId: string): string => `baker.jobs.result.${jobId}`,
  anyJobStatus: "baker.jobs.status.*",
  announce: "baker.extensions.announce",
  heartbeat: "baker.extensions.heartbeat",
  deregister: "baker.extensions.deregister",
  /** Where an extension is called, and where it answers. */
  toolCall: (extensionId: string): string => `baker.extensions.call.${extensionId}`,
  toolResult: (callId: string): string => `baker.extensions.result.${callId}`,
  launch: "baker.tasks.launch",
  podStatus: (taskId: string): string => `baker.tasks.status.${taskId}`,
  podResult: (taskId: string): string => `baker.tasks.result.${taskId}`,
  anyPodStatus: "baker.tasks.status.*",
  health: "baker.system.health",
  handoff: "baker.system.handoff",
} as const;

type Spellings = Readonly<Record<string, readonly string[]>>;

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

/** A schema whose fields may also come under other names; the first that is there counts. */
function spelled<S extends z.ZodType>(spellings: Spellings, schema: S) {
  return z.preprocess((given) => {
    if (typeof given !== "object" || given === null || Array.isArray(given)) return given;
    const named: Record<string, unknown> = { ...given };
    for (const [name, others] of Object.entries(spellings)) {
      const other = others.find((spelling) => isGiven(named[spelling]));
      if (!isGiven(named[name]) && other !== undefined) named[name] = named[other];
    }
    return named;
  }, schema);
}

const Id = z.union([z.string(), z.number()]).transform(String);
/** A member in Python says null for what it has none of. */
const orNone = <S extends z.ZodType>(schema: S) => z.preprocess((given) => given ?? undefined, schema);

/** One token of a subject. */
export const Token = Id.pipe(
  z.string().regex(/^[^\s.*>\p{Cc}]{1,100}$/u, "must be 1 to 100 characters without blanks, dots, * and >"),
);

/** What was asked under an id: whoever asks is told of what cannot be read, as long as the id can. */
type Asked<T> =
  | { readonly id: string; readonly read: T; readonly fault?: never }
  | { readonly id: string; readonly read?: never; readonly fault: string };

function asked<T>(schema: z.ZodType<T>, named: z.ZodType<string>) {
  return z.unknown().transform((given, context): Asked<T> => {
    const [read, id] = [schema.safeParse(given), named.safeParse(given)];
    if (id.success && read.success) return { id: id.data, read: read.data };
    if (id.success) return { id: id.data, fault: z.prettifyError(read.error ?? new z.ZodError([])) };
    context.addIssue({ code: "custom", message: z.prettifyError(id.error) });
    return z.NEVER;
  });
}

/** Becomes part of a capability of ours, so it takes what those take. */
const Name = z
  .string()
  .max(100)
  .regex(/^(?=.*\S)[^\p{Cc}]+$/u, "must hold a visible character and no control characters");

/** One tool call of a job. Without `input` it is given what the call before it gave. */
export const Step = z.union([
  z.object({ tool: Name, input: z.unknown().optional() }),
  z.object({ pod: Name, input: z.unknown().optional(), timeoutMs: z.int().min(1).optional() }),
]);
export type Step = z.infer<typeof Step>;

/** On `baker.jobs.dispatch`. */
export const Job = spelled(
  { jobId: ["job_id", "id"], type: ["jobType", "job_type", "kind"], input: ["payload", "params", "data"] },
  z.looseObject({
    jobId: Token,
    /** `steps`, `echo`, or the tool that does it. */
    type: orNone(Name.default("echo")),
    input: z.unknown().optional(),
    /** From when a worker begins until its end. */
    timeoutMs: orNone(z.int().min(1).max(86_400_000).optional()),
  }),
);
export type Job = z.infer<typeof Job>;
export const AnyJob = asked(
  Job,
  spelled({ jobId: ["job_id", "id"] }, z.object({ jobId: Token })).transform(({ jobId }) => jobId),
);

/** On `baker.jobs.status.<jobId>`. */
export const JobStatus = spelled(
  { jobId: ["job_id", "id"], state: ["status", "phase"] },
  z.looseObject({ jobId: Token, state: z.string().min(1) }),
);
export type JobStatus = z.infer<typeof JobStatus>;

const ErrorText = z.preprocess(
  (given) => (typeof given === "string" ? { message: given } : given),
  z.looseObject({
    type: z.string().min(1).max(256).catch("JobFailed"),
    message: z.string().catch("no reason was given"),
  }),
);

const completedWords = new Set(["completed", "complete", "success", "succeeded", "ok", "done"]);

/** Whoever gives no word that means success, and no error, gives a result all the same. */
function withStatus(given: unknown): unknown {
  if (typeof given !== "object" || given === null) return given;
  const { status, success, error } = given as Record<string, unknown>;
  const saysWell = typeof status === "string" ? completedWords.has(status.toLowerCase()) : success;
  const isWell = typeof saysWell === "boolean" ? saysWell : error === undefined || error === null;
  return { ...given, status: isWell ? "completed" : "failed", error: isWell ? undefined : (error ?? {}) };
}

/** What all results have in common. */
function resultOf<Id extends z.ZodRawShape>(spellings: Spellings, id: Id) {
  return spelled(
    { ...spellings, status: ["state"], output: ["result", "data"] },
    z.preprocess(
      withStatus,
      z.looseObject({
        ...id,
        status: z.enum(["completed", "failed"]),
        output: z.unknown().optional(),
        error: ErrorText.optional(),
      }),
    ),
  );
}

/** On `baker.jobs.result.<jobId>`. */
export const JobResult = resultOf({ jobId: ["job_id", "id"] }, { jobId: Token });
export type JobResult = z.infer<typeof JobResult>;

/** Becomes part of an agent's id and of the subject where the extension is called. */
const ExtensionId = Id.pipe(z.string().regex(/^[\w-]{1,100}$/, "must be 1 to 100 letters, digits, _ and -"));
const extensionId = ["extensionId", "extension_id", "name"];
const Tool = z.preprocess(
  (given) => (typeof given === "string" ? { name: given } : given),
  z.looseObject({ name: Name }),
);

/** On `baker.extensions.announce`. */
export const Announcement = spelled(
  { id: extensionId, capabilities: ["tools"] },
  z.looseObject({
    id: ExtensionId,
    /** The tools that it offers, by name or as objects that have one. */
    capabilities: orNone(z.array(Tool).max(100).default([])),
    maxConcurrent: orNone(z.int().min(1).max(1_000).default(10)),
  }),
);
export type Announcement = z.infer<typeof Announcement>;

/** On `baker.extensions.heartbeat`. */
export const ExtensionBeat = spelled(
  { id: extensionId },
  z.looseObject({ id: ExtensionId, metrics: z.record(z.string(), z.number()).catch({}) }),
);

/** On `baker.extensions.deregister`. */
export const Goodbye = spelled({ id: extensionId }, z.looseObject({ id: ExtensionId }));

/** What an extension is asked for. */
export const ToolCall = z.looseObject({
  callId: Token,
  tool: z.string().min(1),
  input: z.unknown().optional(),
  /** Where the result is awaited; default `baker.extensions.result.<callId>`. */
  resultSubject: z
    .string()
    .regex(/^[^\s.*>]+(\.[^\s.*>]+)*$/, "must be a subject to publish on")
    .optional(),
});
export type ToolCall = z.infer<typeof ToolCall>;

export const ToolResult = resultOf({ callId: ["call_id", "id"] }, { callId: Token });
export type ToolResult = z.infer<typeof ToolResult>;

/** On `baker.tasks.launch`. */
export const PodLaunch = spelled(
  { taskId: ["task_id", "id"], program: ["image", "pod", "type"], input: ["payload", "params"] },
  z.looseObject({
    taskId: Token,
    /** One of those that the launcher was started with. */
    program: Name,
    input: z.unknown().optional(),
    timeoutMs: orNone(z.int().min(1).max(86_400_000).optional()),
  }),
);
export type PodLaunch = z.infer<typeof PodLaunch>;
export const AnyLaunch = asked(
  PodLaunch,
  spelled({ taskId: ["task_id", "id"] }, z.object({ taskId: Token })).transform(({ taskId }) => taskId),
);
export type AnyLaunch = z.infer<typeof AnyLaunch>;

/** On `baker.tasks.status.<taskId>`. */
export const PodStatus = spelled(
  { taskId: ["task_id", "id"], state: ["status", "phase"] },
  z.looseObject({ taskId: Token, state: z.string().min(1) }),
);

/** On `baker.tasks.result.<taskId>`. */
export const PodResult = resultOf({ taskId: ["task_id", "id"] }, { taskId: Token });
export type PodResult = z.infer<typeof PodResult>;

/** On `baker.system.health`. */
export const HealthBeat = spelled(
  { service: ["component", "name", "kind"], id: ["instance", "instanceId", "service", "component", "name"] },
  z.looseObject({
    service: z.string().min(1).max(100),
    id: z.string().min(1).max(100),
    status: z.string().catch("ok"),
    /** Until the next one; default 5,000. */
    intervalMs: z.number().min(1).catch(5_000),
  }),
);
export type HealthBeat = z.infer<typeof HealthBeat>;

/** On `baker.system.handoff`; the README has the protocol. */
export const Handoff = spelled(
  { phase: ["type", "action"], from: ["brainId", "brain_id", "id"] },
  z.discriminatedUnion("phase", [
    z.looseObject({ phase: z.literal("offer"), from: Token, instance: z.string().optional() }),
    z.looseObject({ phase: z.literal("drained"), from: Token, to: Token, term: z.int().min(1).optional() }),
    z.looseObject({ phase: z.literal("tookOver"), from: Token, term: z.int().min(1) }),
  ]),
);
export type Handoff = z.infer<typeof Handoff>;
