/** The command line as data: verbs, the options of all of them, and how commander's own words are said. */
import { Command } from "commander";
import { addAgents } from "./commands/agents.js";
import { addCancel } from "./commands/cancel.js";
import { addDev } from "./commands/dev.js";
import { addPs } from "./commands/ps.js";
import { addShow } from "./commands/show.js";
import { addStatus } from "./commands/status.js";
import { addSubmit } from "./commands/submit.js";
import { say } from "./messages.js";
import { parseDuration } from "./option-values.js";

const exitStatusHelp = `
Exit status: 0 ok, 1 a task failed, 2 usage, 3 not found, 4 no NATS server (or nobody answers on it),
5 time-out, 6 refused. Faults are said on stderr as "perdure: CODE: what happened".`;

export function createProgram(): Command {
  const program = new Command("perdure")
    .description("Durable workflows and agents on one nats-server.")
    .option("--server <url>", "NATS server (default: $NATS_URL or nats://127.0.0.1:4222)")
    .option("--namespace <name>", "first part of every subject (default: $PERDURE_NAMESPACE or mcp)")
    .option("--timeout <duration>", "how long to wait for an answer (default: 10s)", parseDuration)
    .option("--version", "print the version")
    .helpOption("-h, --help", "print this")
    .helpCommand("help [verb]", "print the options of a verb")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text) => say(`USAGE: ${sentenceOf(text)}`) })
    .addHelpText("after", exitStatusHelp)
    .exitOverride();
  for (const add of [addDev, addSubmit, addStatus, addPs, addShow, addCancel, addAgents]) add(program);
  return program;
}

/** Commander begins with "error: " and puts its suggestion on a line of its own. */
function sentenceOf(text: string): string {
  return text.replace(/^error: /, "").trim();
}
