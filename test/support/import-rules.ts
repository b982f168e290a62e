import { type Import, type SourceFile, type Violation, violation } from "./source-file.js";

/**
 * Who may import whom, as data. Arrows of the architecture point one way, so that the rules of the
 * engine stay pure and can be run without a server, a clock or a process. A new folder gets a row
 * here before it gets a file.
 */
interface Row {
  /** Other folders of src whose files it may import; its own are always allowed. */
  readonly folders: readonly string[] | "any";
  /** Packages and node: modules; "node:*" and "@nats-io/*" stand for all of them. */
  readonly packages: readonly string[];
  /** Files at the root of src. */
  readonly rootFiles: readonly string[];
  /** What to do instead, for whoever meets the rule. */
  readonly instead: string;
}

const beneathTheServices = [
  "protocol",
  "machines",
  "scheduler",
  "core",
  "replay",
  "workflow",
  "converter",
  "jetstream",
] as const;

const pureRootFiles = ["errors.ts", "clock.ts"] as const;
const anyRootFile = ["errors.ts", "clock.ts", "deferred.ts", "logger.ts", "version.ts"] as const;

const keepItPure =
  "Take what it needs as an argument (state, now, random bytes), or move the code to orchestrator/ or jetstream/.";
const askJetstream = "Reach NATS through a file of src/jetstream, which hands out parsed messages and our errors.";
const useTheClient = "Ask through src/client, as a user's program would.";

const importRules: Readonly<Record<string, Row>> = {
  protocol: {
    folders: [],
    packages: ["zod"],
    rootFiles: [],
    instead: "It is shapes and names only; code that acts on them belongs in the folder that uses it.",
  },
  machines: { folders: ["protocol"], packages: ["xstate"], rootFiles: pureRootFiles, instead: keepItPure },
  scheduler: { folders: ["protocol", "machines"], packages: [], rootFiles: pureRootFiles, instead: keepItPure },
  core: {
    folders: ["protocol", "machines", "scheduler"],
    packages: [],
    rootFiles: pureRootFiles,
    instead: keepItPure,
  },
  replay: {
    folders: ["protocol"],
    // Only to know, inside user code, which run is being replayed.
    packages: ["node:async_hooks"],
    rootFiles: pureRootFiles,
    instead: "Replay turns history into commands and does no I/O; the worker does that around it.",
  },
  workflow: {
    folders: ["protocol", "replay"],
    packages: ["xstate", "zod"],
    rootFiles: [...pureRootFiles, "logger.ts"],
    instead: "Authors load this folder inside a replay; whatever acts belongs in worker/, agent/ or client/.",
  },
  converter: {
    folders: ["protocol"],
    packages: ["node:*"],
    rootFiles: pureRootFiles,
    instead: "A converter turns values into bytes and back, and knows nothing of where they travel.",
  },
  jetstream: {
    folders: ["protocol"],
    packages: ["@nats-io/*", "node:*", "zod"],
    rootFiles: anyRootFile,
    instead: "This folder knows NATS and the protocol; decisions belong in core/, their order in orchestrator/.",
  },
  "nats-server": {
    folders: ["protocol"],
    packages: ["node:*", "zod"],
    rootFiles: anyRootFile,
    instead: "This folder handles one child process and its binary; who connects to it is not its business.",
  },
  orchestrator: {
    folders: beneathTheServices,
    // Its own life is run by xstate itself; the machines of tasks and agents are stepped in machines/.
    packages: ["node:*", "zod", "xstate", "prom-client"],
    rootFiles: anyRootFile,
    instead: askJetstream,
  },
  agent: { folders: beneathTheServices, packages: ["node:*", "zod"], rootFiles: anyRootFile, instead: askJetstream },
  client: { folders: beneathTheServices, packages: ["node:*", "zod"], rootFiles: anyRootFile, instead: askJetstream },
  worker: {
    // A workflow worker is an agent whose capability is `workflow:<type>`.
    folders: [...beneathTheServices, "agent", "client"],
    packages: ["node:*", "zod"],
    rootFiles: anyRootFile,
    instead: askJetstream,
  },
  bridges: {
    folders: ["protocol", "jetstream", "workflow", "agent", "client"],
    packages: ["node:*", "zod"],
    rootFiles: anyRootFile,
    instead: "A bridge translates a foreign fleet into submissions and agents; it has no way around them.",
  },
  http: {
    folders: ["protocol", "client"],
    packages: ["node:*", "zod"],
    rootFiles: anyRootFile,
    instead: useTheClient,
  },
  doctor: {
    folders: ["protocol", "client", "jetstream"],
    packages: ["node:*", "zod"],
    rootFiles: anyRootFile,
    instead: "It looks and says what to do; what mends belongs in the folder that owns the thing.",
  },
  dashboard: {
    folders: ["protocol", "client"],
    packages: ["node:*", "zod"],
    rootFiles: anyRootFile,
    instead: useTheClient,
  },
  testing: {
    folders: [...beneathTheServices, "agent", "client", "worker", "orchestrator", "nats-server"],
    packages: ["node:*", "zod"],
    rootFiles: anyRootFile,
    instead: "Users import this folder in their tests; it must not pull in the command line or the dashboard.",
  },
  cli: {
    folders: "any",
    packages: ["node:*", "commander", "zod"],
    rootFiles: anyRootFile,
    instead: "A command parses, calls the client and prints; the work belongs in the folder it calls.",
  },
  // Files at the root of src.
  "index.ts": { folders: "any", packages: [], rootFiles: anyRootFile, instead: "It re-exports and has no logic." },
  "errors.ts": { folders: ["protocol"], packages: [], rootFiles: [], instead: "Errors know their codes only." },
  "clock.ts": { folders: [], packages: [], rootFiles: [], instead: "Everybody imports it, so it imports nobody." },
  "deferred.ts": { folders: [], packages: [], rootFiles: [], instead: "Everybody imports it, so it imports nobody." },
  "version.ts": {
    folders: [],
    packages: ["node:module", "zod"],
    rootFiles: [],
    instead: "It reads one field of package.json.",
  },
  "logger.ts": {
    folders: ["protocol"],
    packages: ["pino", "node:*"],
    rootFiles: ["errors.ts"],
    instead: "It names the fields of a log line and nothing else.",
  },
};

/** What an application may import besides files of its own folder: what a user's program could. */
const workflowPackages = ["perdure", "perdure/bridges", "@opentelemetry/*", "zod", "xstate", "pngjs", "node:*"];

export function importViolations(source: SourceFile): Violation[] {
  return source.imports.flatMap((imported) => {
    const sentence = source.path.startsWith("workflows/")
      ? workflowRefusal(source.path, imported)
      : sourceRefusal(source.path, imported);
    return sentence === null ? [] : [violation(source, imported.offset, sentence)];
  });
}

function sourceRefusal(path: string, imported: Import): string | null {
  const owner = ownerOf(path);
  const row = importRules[owner];
  if (row === undefined) {
    return `src/${owner} has no row in test/support/import-rules.ts. Add one that says what it may import and why.`;
  }
  const { specifier, target } = imported;
  if (target === null) {
    return matchesAny(specifier, row.packages)
      ? null
      : `src/${owner} may not import "${specifier}"; ${allowedPackages(row)}. ${row.instead}`;
  }
  if (!target.startsWith("src/")) {
    return `The engine may not import ${target}: src never depends on workflows, tests or benchmarks.`;
  }
  const targetOwner = ownerOf(target);
  if (targetOwner === owner) return null;
  if (targetOwner.endsWith(".ts")) {
    if (!row.rootFiles.includes(targetOwner)) return `src/${owner} may not import ${target}. ${row.instead}`;
    if (targetOwner === "clock.ts" && row.rootFiles === pureRootFiles && !imported.typeOnly) {
      return `src/${owner} is pure and may import the type Clock only. ${keepItPure}`;
    }
    return null;
  }
  if (row.folders === "any" || row.folders.includes(targetOwner)) return null;
  return `src/${owner} may not import ${target}; ${allowedFolders(row.folders)}. ${row.instead}`;
}

function workflowRefusal(path: string, { specifier, target }: Import): string | null {
  if (target === null) {
    return matchesAny(specifier, workflowPackages)
      ? null
      : `An application imports what a user can: ${workflowPackages.join(", ")}, not "${specifier}". Export what is missing from src/index.ts.`;
  }
  const own = path.split("/").slice(0, 2).join("/");
  return target.startsWith(`${own}/`)
    ? null
    : `An application stays within ${own}/ and may not import ${target}. Import the engine as "perdure".`;
}

/** The folder beneath src, or the file's name where it lies at the root of src. */
function ownerOf(path: string): string {
  return path.split("/")[1] ?? path;
}

function matchesAny(specifier: string, allowed: readonly string[]): boolean {
  return allowed.some((name) =>
    name.endsWith("*")
      ? specifier.startsWith(name.slice(0, -1))
      : specifier === name || specifier.startsWith(`${name}/`),
  );
}

function allowedPackages({ packages }: Row): string {
  return packages.length === 0 ? "it imports no package" : `it may import ${packages.join(", ")}`;
}

function allowedFolders(folders: readonly string[]): string {
  return folders.length === 0 ? "it imports no other folder" : `it may import ${folders.join(", ")}`;
}
