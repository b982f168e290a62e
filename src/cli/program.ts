/** The command line as data: verbs, the options of all of them, and how commander's own words are said. */
import { Command, Option } from "commander";
import { addAgents } from "./commands/agents.js";
import { addCancel } from "./commands/cancel.js";
import { addCompletion } from "./commands/completion.js";
import { addDeadLetters } from "./commands/dead-letters.js";
import { addDev } from "./commands/dev.js";
import { addDoctor } from "./commands/doctor.js";
import { addEvents } from "./commands/events.js";
import { addExplain } from "./commands/explain.js";
import { addHistory } from "./commands/history.js";
import { addIds } from "./commands/ids.js";
import { addOrchestrator } from "./commands/orchestrator.js";
import { addPs } from "./commands/ps.js";
import { addReplay } from "./commands/replay.js";
import { addReset } from "./commands/reset.js";
import { addRun } from "./commands/run.js";
import { addShow } from "./commands/show.js";
import { addStatus } from "./commands/status.js";
import { addSubmit } from "./commands/submit.js";
import { addTerminate } from "./commands/terminate.js";
import { addTopology } from "./commands/topology.js";
import { addWorker } from "./commands/worker.js";
import { addQuery, addSignal, addUpdate } from "./commands/workflow-messages.js";
import { sayFault } from "./messages.js";
import { parseDuration } from "./option-values.js";

const exitStatusHelp = `
Exit status: 0 ok, 1 a task failed, 2 usage, 3 not found, 4 no NATS server (or nobody answers on it),
5 time-out, 6 refused, 70 a fault of perdure itself. Faults are said on stderr as "perdure: CODE: what happened",
with --json or --jsonl as {"error":{"code","message","details"}}. Codes are explained in docs/errors.md.`;

export function createProgram(): Command {
  const program = new Command("perdure")
    .description("Durable workflows and agents on one nats-server.")
    .option(
      "--server <url>",
      "NATS server, or several with commas (default: $NATS_URL, the context's, or nats://127.0.0.1:4222)",
    )
    .option("--context <context>", "context of the nats CLI (default: $NATS_CONTEXT, or the one selected there)")
    .addOption(new Option("--creds <file>", "credentials: JWT and seed (default: $NATS_CREDS)").conflicts("nkey"))
    .option("--nkey <file>", "seed of an nkey (default: $NATS_NKEY)")
    .option("--tlscert <file>", "our own certificate (default: $NATS_CERT)")
    .option("--tlskey <file>", "its private key (default: $NATS_KEY)")
    .option("--tlsca <file>", "authority that signed the server's certificate (default: $NATS_CA)")
    .option("--tlsfirst", "talk TLS before the server's greeting")
    .option("--inbox-prefix <prefix>", "first part of reply subjects, where permissions ask for one (default: _INBOX)")
    .option("--namespace <name>", "first part of every subject (default: $PERDURE_NAMESPACE or mcp)")
    .option("--timeout <duration>", "how long to wait for an answer (default: 10s)", parseDuration)
    .option("--version", "print the version")
    .helpOption("-h, --help", "print this")
    .helpCommand("help [verb]", "print the options of a verb")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text) => sayFault({ code: "USAGE", message: sentenceOf(text), details: {} }) })
    .addHelpText("after", exitStatusHelp)
    .exitOverride();
  for (const add of [
    addDev,
    addOrchestrator,
    addWorker,
    addRun,
    addSubmit,
    addStatus,
    addPs,
    addShow,
    addHistory,
    addSignal,
    addQuery,
    addUpdate,
    addCancel,
    addTerminate,
    addReset,
    addReplay,
    addExplain,
    addAgents,
    addEvents,
    addDoctor,
    addTopology,
    addDeadLetters,
    addCompletion,
    addIds,
  ])
    add(program);
  return program;
}

/** Commander begins with "error: " and puts its suggestion on a line of its own. */
function sentenceOf(text: string): string {
  return text.replace(/^error: /, "").trim();
}
