/** `perdure topology`: compares declared streams, consumers and buckets with a server, and makes them so. */
import { Argument, type Command } from "commander";
import { PerdureError } from "../../errors.js";
import type { Connection } from "../../jetstream/connection.js";
import type { TopologyChange } from "../../jetstream/topology-change.js";
import type { DeclaredTopology } from "../../protocol/topology-declaration.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { printJson, printLines } from "../messages.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { styleOf } from "../style.js";
import { runVerb } from "../verb.js";

const actions = ["plan", "apply", "check"] as const;
type Action = (typeof actions)[number];

interface TopologyOptions extends FormatOptions {
  readonly allowDataLoss?: true;
}

const statusHelp = `
plan shows what apply would do; check does the same and exits with 1 where the server is not as declared.
apply exits with 6 and changes nothing where data would be lost. docs/topology.md says what that is.`;

export function addTopology(program: Command): void {
  const command = program
    .command("topology")
    .description("hold declared streams, consumers and buckets against the server, and make it so")
    .addArgument(new Argument("<action>", "what to do").choices(actions))
    .argument("<file>", "a module that exports topologies (defineTopology), or a JSON file with one")
    .option("--allow-data-loss", "apply also what loses messages, or where a consumer stands")
    .addHelpText("after", statusHelp);
  withFormatOptions(command).action((action: Action, file: string, options: TopologyOptions, verb: Command) =>
    runVerb(verb, (settings) => runTopology(settings, action, file, options)),
  );
}

async function runTopology(
  settings: Settings,
  action: Action,
  file: string,
  options: TopologyOptions,
): Promise<ExitStatus> {
  if (options.allowDataLoss && action !== "apply") {
    throw new PerdureError("USAGE", `--allow-data-loss is for apply; ${action} changes nothing`);
  }
  const [{ loadTopologies }, { topologyLines }, { connect }, { silentLogger }] = await Promise.all([
    import("../topology-files.js"),
    import("../topology-text.js"),
    import("../../jetstream/connection.js"),
    import("../../logger.js"),
  ]);
  const topologies = await loadTopologies(file);
  const connection = await connect({ ...connectionOf(settings), name: "perdure cli", logger: silentLogger });
  try {
    const reported: { readonly topology: string; readonly changes: readonly TopologyChange[] }[] = [];
    for (const topology of topologies) {
      const changes = await changesOf(connection, topology, action, options);
      reported.push({ topology: topology.name, changes });
      if (formatOf(options) === "jsonl")
        for (const change of changes) printJson({ topology: topology.name, ...change });
      if (formatOf(options) === "text") {
        const from = {
          name: topology.name,
          server: connection.url,
          tense: action === "apply" ? "done" : "toDo",
        } as const;
        printLines(topologyLines(from, changes, styleOf(process.stdout, settings.environment)));
      }
    }
    if (formatOf(options) === "json") printJson({ topologies: reported });
    const isDrifted = reported.some(({ changes }) => changes.some((change) => change.action !== "none"));
    return action === "check" && isDrifted ? exitStatus.drifted : exitStatus.ok;
  } finally {
    await connection.close();
  }
}

/** Of `apply`: what it did, and how it found the rest. */
async function changesOf(
  connection: Connection,
  topology: DeclaredTopology,
  action: Action,
  { allowDataLoss }: TopologyOptions,
): Promise<readonly TopologyChange[]> {
  const [{ planTopology }, { applyTopology }] = await Promise.all([
    import("../../jetstream/topology-plan.js"),
    import("../../jetstream/topology-apply.js"),
  ]);
  const planned = await planTopology(connection, topology);
  if (action !== "apply") return planned;
  const made = await applyTopology(connection, topology, { onDataLoss: allowDataLoss ? "allow" : "refuse" });
  return planned.map((change) => {
    if (change.action === "none") return change;
    // Another process may have been first.
    const done = made.find(
      ({ kind, name, stream }) => kind === change.kind && name === change.name && stream === change.stream,
    );
    return done ?? { ...change, action: "none", settings: [] };
  });
}

/** @throws PerdureError USAGE for a context whose JetStream is elsewhere */
function connectionOf(settings: Settings) {
  const { options, context } = settings.connection();
  if (context?.jetStreamElsewhere === undefined) return options;
  throw new PerdureError(
    "USAGE",
    `context "${context.name}" reaches JetStream as "${context.jetStreamElsewhere}" (jetstream_domain or jetstream_api_prefix); a topology is applied in the account and domain that has the streams. Use a context of those.`,
    { details: { context: context.name } },
  );
}
