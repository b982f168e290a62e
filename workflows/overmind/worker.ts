/**
 * One part in a process of its own, told by its environment where to go:
 * `NATS_URL=… NATS_TOKEN=… node dist/workflows/overmind/worker.js consolidation`
 */
import { once } from "node:events";
import { PerdureError } from "perdure";
import { type PartName, parts } from "./parts.js";
import { settingsFrom } from "./settings.js";

const names = Object.keys(parts) as PartName[];

async function main(name: string | undefined): Promise<void> {
  const known = names.find((part) => part === name);
  if (known === undefined) throw new PerdureError("USAGE", `name a part: ${names.join(", ")}`);
  const part = await parts[known](settingsFrom(process.env));
  console.log(`ready${part.url === null ? "" : ` ${part.url}`}`);
  // Asked to, or left by a parent that holds a channel to it.
  const asked = ["SIGTERM", "SIGINT", "disconnect"].map((event) => once(process, event));
  try {
    await Promise.race([...asked, part.ended]);
  } finally {
    await part.stop();
    if (process.connected) process.disconnect();
  }
}

try {
  await main(process.argv[2]);
} catch (fault) {
  const isExpected = fault instanceof PerdureError;
  console.error(`overmind: ${isExpected ? `${fault.code}: ${fault.message}` : fault}`);
  process.exitCode = isExpected && fault.code === "USAGE" ? 2 : 1;
}
