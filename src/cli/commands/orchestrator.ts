/**
 * `perdure orchestrator`: an orchestrator for a nats-server that runs already, under systemd, Kubernetes or a terminal.
 * stdout gets one line, `ready <nats url> [<http url>]`, once it leads or stands by; the log is JSON lines on stderr.
 */
import { type Command, Option } from "commander";
import type { LogLevel } from "../../logger.js";
import { logLevels } from "../log-levels.js";
import { parseCount, parseDuration, parsePort } from "../option-values.js";
import { runVerb } from "../verb.js";

export interface OrchestratorVerbOptions {
  readonly maxConcurrentTasks?: number;
  readonly heartbeat?: number;
  readonly replicas: string;
  readonly httpPort?: number;
  readonly httpHost?: string;
  readonly insecure?: true;
  readonly logLevel?: LogLevel;
}

export function addOrchestrator(program: Command): void {
  program
    .command("orchestrator")
    .description("run an orchestrator on a nats-server that runs already; --timeout bounds the wait for it (30s)")
    .option(
      "--max-concurrent-tasks <n>",
      "tasks with an agent at the same time; 0 is without limit (default: number of processors)",
      parseCount,
    )
    .option(
      "--heartbeat <duration>",
      "how often agents report; unhealthy after three, lost after six (default: 30s, 1m and 5m)",
      parseDuration,
    )
    .addOption(
      new Option("--replicas <n>", "copies of everything that is stored; 3 or 5 in a cluster")
        .choices(["1", "3", "5"])
        .default("1"),
    )
    .option("--http-port <n>", "serve HTTP there; 0 takes a free port (default: no HTTP)", parsePort)
    .option(
      "--http-host <address>",
      "where HTTP listens; others than loopback want $PERDURE_HTTP_TOKEN (default: 127.0.0.1)",
    )
    .option("--insecure", "serve HTTP to other machines without a token")
    .addOption(
      new Option("--log-level <level>", "of the log on stderr (default: $PERDURE_LOG_LEVEL or info)").choices(
        logLevels,
      ),
    )
    .action(async (options: OrchestratorVerbOptions, command: Command) => {
      await runVerb(command, async (settings) => {
        const { runOrchestrator } = await import("../run-orchestrator.js");
        return await runOrchestrator(settings, options);
      });
      // A client library that still tries to reconnect would keep the process.
      process.exit();
    });
}
