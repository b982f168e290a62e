/**
 * `perdure ids`: what completion scripts call while somebody waits with a finger on the Tab key. It is not for people,
 * never says anything but ids, and ends within a second whether a server answers or not.
 */
import { Argument, type Command } from "commander";
import { type IdKind, idKinds } from "../completion/model.js";
import { printLines } from "../messages.js";
import type { GlobalOptions, Settings } from "../settings.js";

/** A server that is there answers in a tenth of it; a busy machine takes the rest to get as far as asking. */
const PATIENCE_MS = 1_000;
/** More than anybody looks through. */
const IDS_MAX = 500;

export function addIds(program: Command): void {
  program
    .command("ids", { hidden: true })
    .addArgument(new Argument("<kind>").choices(idKinds))
    .action(async (kind: IdKind, _options: object, command: Command) => {
      setTimeout(() => process.exit(), PATIENCE_MS);
      try {
        printLines(await idsOf(kind, command.optsWithGlobals<GlobalOptions>()));
      } catch {
        // Whatever is wrong is said by the verb that is being typed.
      }
      process.exit();
    });
}

async function idsOf(kind: IdKind, options: GlobalOptions): Promise<readonly string[]> {
  const [{ readEnvironment }, { settingsFrom }] = await Promise.all([
    import("../environment.js"),
    import("../settings.js"),
  ]);
  const environment = readEnvironment();
  if (kind === "context") return (await import("../nats-context.js")).contextNames(environment.configHome);
  return await idsFromServer(kind, settingsFrom({ ...options, timeout: PATIENCE_MS }, environment));
}

async function idsFromServer(kind: "task" | "agent", settings: Settings): Promise<readonly string[]> {
  const { withClient } = await import("../with-client.js");
  return await withClient(settings, async (client) => {
    if (kind === "agent") return (await client.status()).agentStatuses.map(({ agentId }) => agentId);
    return (await client.list({ limit: IDS_MAX })).tasks.map(({ taskId }) => taskId);
  });
}
