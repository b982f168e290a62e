/**
 * `perdure dev`: nats-server, orchestrator and a worker in one command, for development and demonstrations. stdout gets one line,
 * `ready <nats url> <http url>`, once a submission would be accepted. Ctrl-C ends it all in order.
 */
import { type Command, Option } from "commander";
import { PerdureError } from "../../errors.js";
import type { LogLevel } from "../../logger.js";
import { logLevels } from "../log-levels.js";
import { parseCount, parseDuration, parsePort } from "../option-values.js";
import type { GlobalOptions } from "../settings.js";
import { runVerb } from "../verb.js";

export interface DevOptions {
  readonly natsPort: number;
  readonly httpPort: number;
  readonly storeDir: string;
  readonly heartbeat: number;
  readonly maxConcurrentTasks: number;
  readonly workflows?: readonly string[];
  readonly logLevel?: LogLevel;
}

const NATS_PORT_DEFAULT = 4222;
/** Short, so that a killed agent's work moves while one watches; production's default is 30 s. */
const HEARTBEAT_MS_DEFAULT = 1_000;

export function addDev(program: Command): void {
  program
    .command("dev")
    .description("run nats-server, an orchestrator and, if it is given workflows, a worker here, until Ctrl-C")
    .option(
      "--nats-port <n>",
      "where nats-server listens on loopback; 0 takes a free port",
      parsePort,
      NATS_PORT_DEFAULT,
    )
    .addOption(
      new Option("--http-port <n>", "where HTTP listens on loopback; 0 takes a free port")
        .argParser(parsePort)
        .default(0, "a free one"),
    )
    .option("--store-dir <folder>", "where everything is kept", ".perdure")
    .addOption(
      new Option("--heartbeat <duration>", "how often agents report; unhealthy after three, lost after six")
        .argParser(parseDuration)
        .default(HEARTBEAT_MS_DEFAULT, "1s"),
    )
    .option("--max-concurrent-tasks <n>", "tasks with an agent at the same time; 0 is without limit", parseCount, 0)
    .option(
      "--workflows <files...>",
      "JavaScript modules whose workflows are run here; * stands for any name, ** for any folders",
    )
    .addOption(
      new Option("--log-level <level>", "of the log on stderr (default: $PERDURE_LOG_LEVEL or warn)").choices(
        logLevels,
      ),
    )
    .action(async (options: DevOptions, command: Command) => {
      await runVerb(command, async (settings) => {
        refuseOptionsOfOthers(command);
        const { runDevSystem } = await import("../dev-system.js");
        return await runDevSystem(settings, options);
      });
      // An orchestrator whose server died would wait for it to come back, and keep the process with it.
      process.exit();
    });
}

const ofOthers = {
  server: "--server",
  timeout: "--timeout",
  context: "--context",
  creds: "--creds",
  nkey: "--nkey",
  tlscert: "--tlscert",
  tlskey: "--tlskey",
  tlsca: "--tlsca",
  tlsfirst: "--tlsfirst",
  inboxPrefix: "--inbox-prefix",
} as const satisfies Partial<Record<keyof GlobalOptions, string>>;

/** @throws PerdureError USAGE rather than ignoring what was asked for */
function refuseOptionsOfOthers(command: Command): void {
  const given = command.optsWithGlobals<GlobalOptions>();
  const other = Object.entries(ofOthers).find(([name]) => name in given);
  if (other === undefined) return;
  throw new PerdureError("USAGE", `dev starts a server of its own and runs until it is stopped; leave out ${other[1]}`);
}
