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

async function run(): Promise<void> {
  const settings = readSettings(process.env);
  const knight = await startKnight({
    settings,
    executors: executorsOver(settings.dataFolder ?? sampleDataFolder),
    log: jsonLog({ knight: settings.name }),
  });
  let signals = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      signals += 1;
      void (signals === 1 ? knight.drain() : knight.stop());
    });
  }
  process.stdout.write(`ready ${settings.name} ${knight.health.url}\n`);
  await knight.closed;
}

try {
  await run();
} catch (fault) {
  const isSettings = fault instanceof SettingsError;
  const isExpected = isSettings || fault instanceof PerdureError;
  const text = fault instanceof Error ? (isExpected ? fault.message : (fault.stack ?? fault.message)) : String(fault);
  process.stderr.write(`knight: ${text}\n`);
  process.exitCode = isSettings ? 2 : 1;
}
