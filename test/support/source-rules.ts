import { type SourceFile, type Violation, violation, visit } from "./source-file.js";

/** Rules about what stands in a file, each a function from a parsed file to what is wrong with it. */

/** Folders whose functions give the same answer for the same arguments, always. */
const pureFolders = ["protocol", "machines", "scheduler", "core", "replay"];

/** These replace the ambient clock, timers and randomness while workflow code runs, so they must name them. */
const replaceAmbientGlobals = new Set([
  "src/replay/sandbox-globals.ts",
  "src/replay/durable-timers.ts",
  "src/replay/until-quiet.ts",
]);

const ambientCalls = new Set(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch", "require"]);
const ambientObjects = new Set(["process", "performance", "crypto", "globalThis", "Buffer"]);
const ambientMembers = new Set(["Date.now", "Math.random"]);

export function ambientViolations(source: SourceFile): Violation[] {
  const isPure = pureFolders.some((folder) => source.path.startsWith(`src/${folder}/`));
  if (!isPure || replaceAmbientGlobals.has(source.path)) return [];
  const found: Violation[] = [];
  const refuse = (offset: number, name: string): void => {
    found.push(
      violation(
        source,
        offset,
        `${name} does not belong in a pure folder. Take time, ids and randomness as arguments.`,
      ),
    );
  };
  visit(source, {
    MemberExpression(node) {
      if (node.object.type !== "Identifier") return;
      const { name } = node.object;
      const property = node.property.type === "Identifier" ? node.property.name : "";
      if (ambientObjects.has(name)) refuse(node.start, name);
      if (ambientMembers.has(`${name}.${property}`)) refuse(node.start, `${name}.${property}`);
    },
    CallExpression(node) {
      if (node.callee.type !== "Identifier") return;
      if (ambientCalls.has(node.callee.name)) refuse(node.start, node.callee.name);
      if (node.callee.name === "Date") refuse(node.start, "Date()");
    },
    NewExpression(node) {
      if (node.callee.type === "Identifier" && node.callee.name === "Date" && node.arguments.length === 0) {
        refuse(node.start, "new Date()");
      }
    },
  });
  return found;
}

/** Subjects, keys and stream names have one home, where a builder and its parser stand side by side. */
export function subjectViolations(source: SourceFile): Violation[] {
  if (!source.path.startsWith("src/") || /^src\/(protocol|bridges)\//.test(source.path)) return [];
  // Subjects of the server's own interface are NATS' business, and so that folder's.
  const knowsNats = source.path.startsWith("src/jetstream/");
  const sentence = "A subject is built here. Add a builder to src/protocol/subjects.ts and call it.";
  const found: Violation[] = [];
  visit(source, {
    TemplateLiteral(node) {
      if (node.expressions.length === 0) return;
      const first = node.quasis[0]?.value.raw ?? "";
      const second = node.quasis[1]?.value.raw ?? "";
      const isOurs = /^mcp\./.test(first) || (first === "" && /^\.(agent|orchestrator|journal)\b/.test(second));
      const isTheServers = /^\$(JS|KV|O|SRV)\./.test(first);
      if (isOurs || (isTheServers && !knowsNats)) found.push(violation(source, node.start, sentence));
    },
  });
  return found;
}

/** Texts of errors change with versions; codes are contracts. */
export function errorTextViolations(source: SourceFile): Violation[] {
  if (!source.path.startsWith("src/")) return [];
  const comparisons = new Set(["includes", "startsWith", "endsWith", "match", "search"]);
  const found: Violation[] = [];
  visit(source, {
    CallExpression(node) {
      const { callee } = node;
      if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return;
      const { object } = callee;
      if (object.type !== "MemberExpression" || object.property.type !== "Identifier") return;
      if (comparisons.has(callee.property.name) && object.property.name === "message") {
        found.push(violation(source, node.start, "The text of an error is compared here. Tell errors apart by code."));
      }
    },
  });
  return found;
}

/** The one file of the tests that may let time pass: everybody else waits for what happened. */
const waits = "test/support/until.ts";

/** Where the passing of time is what is tested: inside workflow code, beside it, and in what mocks may take. */
const sleepsOnPurpose: ReadonlySet<string> = new Set([
  "test/workflow/timers.test.ts",
  "test/workflow/sandbox.test.ts",
  "test/workflow/steps.test.ts",
  "test/testing/test-environment.test.ts",
  "test/replay/random-program.ts",
]);

export function sleepViolations(source: SourceFile): Violation[] {
  if (!source.path.startsWith("test/") || source.path === waits || sleepsOnPurpose.has(source.path)) return [];
  const sentence = `A test sleeps here. Wait for the message, revision or signal with ${waits}, or move the passed-in clock.`;
  const found = source.imports
    .filter(({ specifier }) => specifier === "node:timers/promises")
    .map(({ offset }) => violation(source, offset, sentence));
  visit(source, {
    NewExpression(node) {
      if (node.callee.type !== "Identifier" || node.callee.name !== "Promise") return;
      const [executor] = node.arguments;
      if (executor?.type !== "ArrowFunctionExpression" && executor?.type !== "FunctionExpression") return;
      const [resolve] = executor.params;
      if (resolve?.type !== "Identifier") return;
      const body = source.text.slice(executor.start, executor.end);
      const resolvesLater = new RegExp(`\\bsetTimeout\\(\\s*(\\(\\)\\s*=>\\s*)?${resolve.name}\\b`);
      if (resolvesLater.test(body)) found.push(violation(source, node.start, sentence));
    },
    CallExpression(node) {
      if (node.callee.type === "Identifier" && ["sleep", "delay"].includes(node.callee.name)) {
        found.push(violation(source, node.start, sentence));
      }
    },
  });
  return found;
}

export function unrunTestViolations(source: SourceFile): Violation[] {
  const found: Violation[] = [];
  visit(source, {
    MemberExpression(node) {
      if (node.object.type !== "Identifier" || node.property.type !== "Identifier") return;
      if (!["it", "test", "describe"].includes(node.object.name)) return;
      if (["skip", "only", "todo"].includes(node.property.name)) {
        const written = `${node.object.name}.${node.property.name}`;
        found.push(
          violation(source, node.start, `${written} leaves tests out. Mend the test, or delete it and say why.`),
        );
      }
    },
  });
  return found;
}

/** Names that say nothing, as a file or as a folder. */
const emptyNames = /(^|\/)(utils?|helpers?|common|lib|misc|shared)(\.test)?(\.ts|\/)/;

export function nameViolations(source: SourceFile): Violation[] {
  if (!emptyNames.test(source.path)) return [];
  const sentence = "This name says nothing. Name the file after what it does, and keep it near its one caller.";
  return [violation(source, 0, sentence)];
}

/** From this length on a file has a story to tell: what it is for, and why it is as it is. */
const linesWithoutCommentMax = 60;
/** Imports and a small type may come first. */
const linesBeforeCommentMax = 30;

export function openingViolations(source: SourceFile): Violation[] {
  if (!source.path.startsWith("src/")) return [];
  const lines = source.text.split("\n");
  const [firstComment] = source.commentStarts;
  const opening = lines.slice(0, linesBeforeCommentMax).join("\n");
  if (lines.length <= linesWithoutCommentMax || (firstComment !== undefined && firstComment < opening.length))
    return [];
  const sentence = `A file of more than ${linesWithoutCommentMax} lines says near its top what it is for and why.`;
  return [violation(source, 0, sentence)];
}

/** Files of src that no entry point reaches. A test that imports one does not make it live. */
export function unreachedViolations(sources: readonly SourceFile[], entryPaths: readonly string[]): Violation[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const reached = new Set<string>();
  const pending = [...entryPaths];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const source = byPath.get(path);
    if (source === undefined || reached.has(path)) continue;
    reached.add(path);
    for (const { target } of source.imports) if (target !== null) pending.push(target);
  }
  return sources
    .filter(({ path }) => path.startsWith("src/") && !reached.has(path))
    .map((source) => violation(source, 0, "No entry point of the package reaches this file. Use it or delete it."));
}
