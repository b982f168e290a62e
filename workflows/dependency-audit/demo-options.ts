/** What a person may write after `npm run demo --`, and what it means. */
import { isAbsolute, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { DemoStopped, demoExit } from "./demo-exit.js";

export interface DemoOptions {
  readonly kind: "audit";
  /** Absolute. */
  readonly projectPath: string;
  readonly markdownPath: string;
  /** Somebody's named file is written over; a file of our own naming never is. */
  readonly markdownChosenBy: "user" | "demo";
}

export interface DemoDefaults {
  /** The checkout this demo is part of. */
  readonly projectPath: string;
  readonly auditId: string;
  readonly temporaryFolder: string;
  /** Where relative paths begin. */
  readonly workingFolder: string;
}

export const demoHelp = `Usage: npm run demo -- [--path DIR] [--markdown FILE]

Audits a project's npm dependencies as a workflow, with four agents and two workers on a nats-server
of its own, and kills one of each with kill -9 half-way. Reads the project, changes nothing in it.

  --path DIR       the project, with its package-lock.json and node_modules (default: this checkout)
  --markdown FILE  where the report is written as Markdown (default: a new file in the temp folder)
  --help           print this

Exit status: 0 the report is complete, 1 it is not, 2 usage, 3 the project cannot be audited,
128 and the signal's number when interrupted. README: workflows/dependency-audit/README.md
`;

/** @throws DemoStopped usage */
export function parseDemoOptions(args: readonly string[], defaults: DemoDefaults): DemoOptions | { kind: "help" } {
  const { path, markdown, help } = parsedValues(args);
  if (help === true) return { kind: "help" };
  const { projectPath, auditId, temporaryFolder, workingFolder } = defaults;
  return {
    kind: "audit",
    projectPath: path === undefined ? projectPath : absolute("--path", path, workingFolder),
    markdownPath:
      markdown === undefined
        ? join(temporaryFolder, `dependency-${auditId}.md`)
        : absolute("--markdown", markdown, workingFolder),
    markdownChosenBy: markdown === undefined ? "demo" : "user",
  };
}

/** npm runs scripts in the package's folder; what a person typed is meant from where they stood. */
export function workingFolderOf(
  environment: Readonly<Record<string, string | undefined>>,
  currentFolder: string,
): string {
  const { npm_lifecycle_event: script, INIT_CWD: stood } = environment;
  return script === "demo" && stood !== undefined && isAbsolute(stood) ? stood : currentFolder;
}

function parsedValues(args: readonly string[]) {
  try {
    const options = { path: { type: "string" }, markdown: { type: "string" }, help: { type: "boolean" } } as const;
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    const [sentence] = (cause instanceof Error ? cause.message : String(cause)).split(". ");
    throw new DemoStopped(demoExit.usage, `${sentence}. See --help.`, { cause });
  }
}

function absolute(option: string, path: string, workingFolder: string): string {
  if (path === "") throw new DemoStopped(demoExit.usage, `${option} needs a path and has an empty text. See --help.`);
  return resolve(workingFolder, path);
}
