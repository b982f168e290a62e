import type { z } from "zod";
import type { ErrorCode } from "./error-code.js";
import { ID_FIELDS, ID_PATTERN } from "./ids.js";

/** A message that does not fit its schema: the stable code, and a sentence that names each wrong field. */
export interface ParseFailure {
  readonly code: Extract<ErrorCode, "INVALID_MESSAGE" | "INVALID_ID" | "INVALID_PRIORITY" | "BATCH_TOO_LARGE">;
  readonly message: string;
  readonly fields: readonly string[];
}

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: ParseFailure };

/** Holds a decoded JSON value against its schema; unknown fields are dropped, never passed on. */
export function parseMessage<S extends z.ZodType>(schema: S, value: unknown): Parsed<z.infer<S>> {
  const result = schema.safeParse(value);
  return result.success ? { ok: true, value: result.data } : { ok: false, failure: describe(result.error, value) };
}

const NAMED_ISSUES_MAX = 5;
/** A large batch can be wrong in a hundred thousand places; the refusal has to fit into a message. */
const LISTED_FIELDS_MAX = 100;

function describe(error: z.ZodError, value: unknown): ParseFailure {
  const named = error.issues.slice(0, NAMED_ISSUES_MAX).map((issue) => {
    const path = issue.path.map(String).join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  const more = error.issues.length - named.length;
  return {
    code: codeOf(error, value),
    message: named.join("; ") + (more > 0 ? `; and ${more} more` : ""),
    fields: error.issues.slice(0, LISTED_FIELDS_MAX).map((issue) => issue.path.map(String).join(".")),
  };
}

function codeOf(error: z.ZodError, value: unknown): ParseFailure["code"] {
  if (error.issues.some((issue) => issue.code === "too_big" && issue.path.join() === "tasks")) return "BATCH_TOO_LARGE";
  if (error.issues.some((issue) => isIdIssue(issue, value))) return "INVALID_ID";
  if (error.issues.some((issue) => issue.path.at(-1) === "priority")) return "INVALID_PRIORITY";
  return "INVALID_MESSAGE";
}

/** A present but unusable value where an id belongs, be it of another type or of another shape. */
function isIdIssue(issue: z.core.$ZodIssue, root: unknown): boolean {
  if (issue.code === "invalid_format" && "pattern" in issue && issue.pattern === String(ID_PATTERN)) return true;
  const field = issue.path.findLast((step) => typeof step === "string");
  if (issue.code !== "invalid_type" || typeof field !== "string" || !ID_FIELDS.has(field)) return false;
  return valueAt(root, issue.path) !== undefined;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}
