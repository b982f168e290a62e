import { ApplicationFailure } from "./failures.js";

/**
 * A value as it is now, and as it will be read back: code may go on changing what it handed over.
 * @throws ApplicationFailure INVALID_INPUT for what is not JSON
 */
export function jsonCopy(value: unknown, what: string): unknown {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
    case "undefined":
      return value;
    case "object":
      if (value === null) return null;
      break;
    case "bigint":
    case "function":
    case "symbol":
      throw notJson(what, `a ${typeof value}`);
  }
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (cause) {
    throw notJson(what, cause instanceof Error ? cause.message : String(cause));
  }
  return json === undefined ? undefined : JSON.parse(json);
}

/** The same of named values, where there are any. @throws as `jsonCopy` does */
export function namedCopy(values: Readonly<Record<string, unknown>>, what: string): Record<string, unknown>;
export function namedCopy(
  values: Readonly<Record<string, unknown>> | undefined,
  what: string,
): Record<string, unknown> | undefined;
export function namedCopy(values: Readonly<Record<string, unknown>> | undefined, what: string): unknown {
  return jsonCopy(values, what);
}

function notJson(what: string, why: string): ApplicationFailure {
  return new ApplicationFailure(`${what} is not JSON: ${why}`, { type: "INVALID_INPUT", nonRetryable: true });
}
