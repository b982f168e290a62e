import { z } from "zod";

/**
 * Ids become tokens of NATS subjects and keys of JetStream buckets, so they are refused rather than
 * encoded when they hold anything a subject cannot: `*`, `>`, dots, blanks; and they are bounded,
 * because an over-long subject makes the server cut the connection. Only bridges translate foreign ids.
 */
export const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

const id = z.string().regex(ID_PATTERN, "must match [A-Za-z0-9][A-Za-z0-9_-]{0,127}");

export const TaskId = id.brand<"TaskId">();
export type TaskId = z.infer<typeof TaskId>;

/** A workflow's id is that of the task it was submitted as; each execution of it has a run id besides. */
export const WorkflowId = TaskId;
export type WorkflowId = TaskId;

/** The workflow task of a run goes by it, so it is a task's id too. */
export const RunId = TaskId;
export type RunId = TaskId;

export const AgentId = id.brand<"AgentId">();
export type AgentId = z.infer<typeof AgentId>;

/** Field names whose value is an id, or a list of ids: a wrong value there is `INVALID_ID`, whatever is wrong with it. */
export const ID_FIELDS: ReadonlySet<string> = new Set(["taskId", "agentId", "preferredAgentId", "dependencies"]);

/**
 * The namespace that every subject, stream, bucket and durable name carries, so that several teams share one
 * server. No underscore: it separates the namespace from the rest in bucket names, which must stay unambiguous.
 */
export const NAMESPACE_PATTERN = /^[a-z0-9][a-z0-9-]{0,31}$/;
export const Namespace = z.string().regex(NAMESPACE_PATTERN, "must match [a-z0-9][a-z0-9-]{0,31}").brand<"Namespace">();
export type Namespace = z.infer<typeof Namespace>;

export const DEFAULT_NAMESPACE = "mcp" as Namespace;

/**
 * A task's type and an agent's capability are never part of a subject, so they may hold what people write
 * ("workflow:order", "find similar bugs"), short of control characters and of nothing at all.
 */
export const CapabilityName = z
  .string()
  .min(1)
  .max(128)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses.
  .regex(/^(?=.*\S)[^\u0000-\u001f\u007f]+$/, "must hold a visible character and no control characters");

/** Types of workflows, names of steps, signals, queries and updates: what people write, without control characters. */
export const MessageName = CapabilityName;
