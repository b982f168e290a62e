/** A batch of tasks that a person wrote: each must be an object, and a misspelt field is named rather than ignored. */
import type { NewTask } from "../client/submission.js";
import { PerdureError } from "../errors.js";
import { TaskSubmission } from "../protocol/task-message.js";
import { parseJson, type SourceText } from "./json-input.js";

/**
 * A JSON array of tasks, or one task a line (JSONL). What a field holds is for the client to check.
 * @throws PerdureError USAGE
 */
export function parseBatch(source: SourceText): readonly NewTask[] {
  const values = source.text.trimStart().startsWith("[") ? [parseJson(source)].flat() : parseLines(source);
  if (values.length === 0) {
    throw new PerdureError("USAGE", `${source.name} holds no task; give a JSON array, or one task a line`);
  }
  return values.map((value, index) => checkedTask(value, `task ${index + 1} of ${source.name}`));
}

function parseLines({ name, text }: SourceText): readonly unknown[] {
  return text
    .split("\n")
    .flatMap((line, index) => (line.trim() === "" ? [] : [parseJson({ name, text: line }, index + 1)]));
}

const fields: readonly string[] = Object.keys(TaskSubmission.shape);

function checkedTask(value: unknown, what: string): NewTask {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PerdureError("USAGE", `${what} is no JSON object`);
  }
  const unknown = Object.keys(value).find((field) => !fields.includes(field));
  if (unknown !== undefined) {
    throw new PerdureError(
      "USAGE",
      `${what} has a field "${unknown}" that no task has; there are ${fields.join(", ")}`,
    );
  }
  return value as NewTask;
}
