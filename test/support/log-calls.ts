import { type SourceFile, visit } from "./source-file.js";

/** A place in src where a line is written to the log, as the source has it. */
export interface LogCall {
  readonly path: string;
  readonly offset: number;
  /** Null where a sampled line is given its fields: its level and message stand where it is made. */
  readonly level: string | null;
  /** Null where it is no fixed text. */
  readonly message: string | null;
  readonly fields: readonly string[];
}

const levels = new Set(["trace", "debug", "info", "warn", "error", "fatal"]);

/** Calls of a logger, constructions of a SampledLog and calls of its `write`. */
export function logCallsOf(source: SourceFile): LogCall[] {
  const { path, text } = source;
  const found: LogCall[] = [];
  const samples = text.includes("new SampledLog(");
  const textOf = (node: { readonly start: number; readonly end: number }): string => text.slice(node.start, node.end);
  visit(source, {
    CallExpression(node) {
      const { callee } = node;
      if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return;
      const [first, second] = node.arguments;
      const method = callee.property.name;
      const isLog = levels.has(method) && /(^|[.#])logger$/i.test(textOf(callee.object));
      const isSample = samples && method === "write" && first?.type === "ObjectExpression";
      if (!isLog && !isSample) return;
      const message = second?.type === "Literal" && typeof second.value === "string" ? second.value : null;
      found.push({ path, offset: node.start, level: isLog ? method : null, message, fields: fieldsOf(first) });
    },
    NewExpression(node) {
      if (node.callee.type !== "Identifier" || node.callee.name !== "SampledLog") return;
      const [, level, message] = node.arguments;
      if (level?.type !== "Literal" || message?.type !== "Literal") return;
      found.push({ path, offset: node.start, level: String(level.value), message: String(message.value), fields: [] });
    },
  });
  return found;
}

/** The names an object literal gives its properties; what it spreads has to be looked at by people. */
function fieldsOf(node: unknown): string[] {
  if (typeof node !== "object" || node === null || !("type" in node) || node.type !== "ObjectExpression") return [];
  const { properties } = node as unknown as {
    readonly properties: readonly { readonly key?: { readonly name?: string } }[];
  };
  return properties.flatMap(({ key }) => (key?.name === undefined ? [] : [key.name]));
}
