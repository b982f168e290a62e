/**
 * A knight as a process, from its environment alone; README.md has the variables. Prints `ready <name> <health url>` when
 * it takes tasks, logs to stderr, drains on the first SIGTERM or Ctrl-C and aborts what it has on the second.
 */
import { PerdureError } from "perdure";
import { sampleDataFolder } from "./data-file.js";
import { executorsOver } from "./executors.js";
import { jsonLog } from "./json-log.js";
import { readSettings, SettingsError } from "./settings.js";
import { startKnight } from "./start-knight.js";

const endSignals = ["SIGTERM", "SIGINT"] as const;
const endGraceMs = 1_000;

async function run(): Promise<void> {
  const settings = readSettings(process.env);
  const knight = await startKnight({
    settings,
    executors: executorsOver(settings.dataFolder ?? sampleDataFolder),
    log: jsonLog({ knight: settings.name }),
  });
  let signals = 0;
  const onSignal = (): void => {
    signals += 1;
    void (signals === 1 ? knight.drain() : knight.stop());
  };
  for (const signal of endSignals) process.on(signal, onSignal);
  process.stdout.write(`ready ${settings.name} ${knight.health.url}\n`);
  await knight.closed;
  for (const signal of endSignals) process.off(signal, onSignal);
  // An executor that ignores its signal may hold the process. A signal, because an exit waits for a read that hangs.
  setTimeout(() => process.kill(process.pid, "SIGTERM"), endGraceMs).unref();
}

try {
  await run();
} catch (fault) {
  const isOurs = fault instanceof PerdureError;
  // Subjects that overlap are seen where the topology is made of them.
  const isSettings = fault instanceof SettingsError || (isOurs && fault.code === "INVALID_TOPOLOGY");
  const isExpected = isSettings || isOurs;
  const text = fault instanceof Error ? (isExpected ? fault.message : (fault.stack ?? fault.message)) : String(fault);
  process.stderr.write(`knight: ${text}\n`);
  process.exitCode = isSettings ? 2 : 1;
}
