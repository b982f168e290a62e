/** `perdure worker`: runs the workflows of some files until Ctrl-C, which drains it. */
import { type Command, Option } from "commander";
import type { LogLevel } from "../../logger.js";
import { exitStatus } from "../exit-status.js";
import { logLevels } from "../log-levels.js";
import { say } from "../messages.js";
import { parseCount } from "../option-values.js";
import { runVerb } from "../verb.js";

interface WorkerVerbOptions {
  readonly id?: string;
  readonly concurrency?: number;
  readonly cachedRuns?: number;
  readonly logLevel?: LogLevel;
}

export function addWorker(program: Command): void {
  program
    .command("worker")
    .description("run the workflows that these files export, until Ctrl-C")
    .argument("<files...>", "JavaScript modules; * stands for any name, ** for any folders")
    .option("--id <agentId>", "its id as an agent (default: a random one)")
    .option("--concurrency <n>", "activations and steps at a time (default: 200)", parseCount)
    .option("--cached-runs <n>", "runs kept in memory between activations (default: 1000)", parseCount)
    .addOption(
      new Option("--log-level <level>", "of the log on stderr (default: $PERDURE_LOG_LEVEL or info)").choices(
        logLevels,
      ),
    )
    .action((files: readonly string[], options: WorkerVerbOptions, verb: Command) =>
      runVerb(verb, async (settings) => {
        const [{ loadWorkflows }, { worker }, { drainOnSignals }, { createLogger }] = await Promise.all([
          import("../workflow-files.js"),
          import("../../worker/worker.js"),
          import("../../agent/drain-on-signals.js"),
          import("../../logger.js"),
        ]);
        const workflows = await loadWorkflows(files);
        const running = await worker({
          ...settings.connection().options,
          namespace: settings.namespace,
          workflows,
          logger: createLogger(options.logLevel ?? settings.environment.logLevel ?? "info"),
          ...(options.id === undefined ? {} : { id: options.id }),
          ...(options.concurrency === undefined ? {} : { maxConcurrentTasks: options.concurrency }),
          ...(options.cachedRuns === undefined ? {} : { maxCachedRuns: options.cachedRuns }),
        });
        drainOnSignals(running);
        say(`worker ${running.id} runs ${workflows.map(({ name }) => name).join(", ")}; Ctrl-C drains it`);
        await running.closed;
        return exitStatus.ok;
      }),
    );
}
