/** Which operation a request line means. Paths are matched whole: no trailing slashes, no letters of another case. */
import { PerdureError } from "../errors.js";
import type { Operation } from "./operation.js";
import { systemOperations } from "./system-operations.js";
import { taskOperations } from "./task-operations.js";
import { workflowOperations } from "./workflow-operations.js";

export const operations: readonly Operation[] = [...taskOperations, ...workflowOperations, ...systemOperations];

export interface Route {
  readonly operation: Operation;
  readonly pathParameters: Readonly<Record<string, string>>;
}

/** Or why there is none: HTTP_ROUTE_UNKNOWN, or HTTP_METHOD_REFUSED with the methods there are in `details.allow`. */
export function routeOf(method: string, path: string): Route | PerdureError {
  const here = operations.flatMap((operation) => {
    const pathParameters = match(operation.path, path);
    return pathParameters === null ? [] : [{ operation, pathParameters }];
  });
  if (here.length === 0) {
    return new PerdureError(
      "HTTP_ROUTE_UNKNOWN",
      `there is nothing at ${shown(path)}; GET /v1/openapi.json lists what there is`,
    );
  }
  const route = here.find(({ operation }) => methodsOf(operation).includes(method));
  if (route !== undefined) return route;
  const allow = here.flatMap(({ operation }) => methodsOf(operation)).join(", ");
  return new PerdureError("HTTP_METHOD_REFUSED", `${shown(path)} takes ${allow} and not ${method}; nothing was done`, {
    details: { allow },
  });
}

/** HEAD asks for the head of what GET answers; what is answered without end has none worth asking for. */
function methodsOf({ method, patience }: Operation): readonly string[] {
  return method === "GET" && patience === "short" ? ["GET", "HEAD"] : [method];
}

/** The parameters in braces, or null where the path is another. */
function match(template: string, path: string): Record<string, string> | null {
  const names = template.split("/");
  const given = path.split("/");
  if (names.length !== given.length) return null;
  const parameters: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const text = given[index] ?? "";
    if (name.startsWith("{") && text !== "") parameters[name.slice(1, -1)] = unescaped(text);
    else if (name !== text) return null;
  }
  return parameters;
}

/** What is no URL encoding stays as it is: no parameter may hold a percent sign, and whoever reads it says so. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const SHOWN_MAX = 200;

function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text);
}
