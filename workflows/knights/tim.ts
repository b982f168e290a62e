/**
 * The dispatcher as a process: NATS_URL says where the server is, PERDURE_NAMESPACE which orchestrator ("mcp" by default).
 * Prints `ready tim` when it takes tasks, logs to stderr, drains on SIGTERM and Ctrl-C. Ends with status 1 when another
 * process takes its place.
 */
import { PerdureError } from "perdure";
import { z } from "zod";
import { dispatcherName } from "./bridge.js";
import { startDispatcher } from "./dispatcher.js";

const Environment = z.object({
  NATS_URL: z.string().default("nats://localhost:4222"),
  PERDURE_NAMESPACE: z.string().default("mcp"),
});

async function run(): Promise<void> {
  // What is set to nothing is not set, as with the knights.
  const given = Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== ""));
  const { NATS_URL, PERDURE_NAMESPACE } = Environment.parse(given);
  const dispatcher = await startDispatcher({ servers: NATS_URL, namespace: PERDURE_NAMESPACE });
  process.stdout.write(`ready ${dispatcherName}\n`);
  const told = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  try {
    await Promise.race([told, dispatcher.ended]);
  } finally {
    await dispatcher.stop();
  }
}

try {
  await run();
} catch (fault) {
  const isExpected = fault instanceof PerdureError;
  const text = fault instanceof Error ? (isExpected ? fault.message : (fault.stack ?? fault.message)) : String(fault);
  process.stderr.write(`${dispatcherName}: ${text}\n`);
  process.exitCode = 1;
}
