/** `npm run chaos -- --seconds 600 --tasks 20000 --seed 42`: one run; exit 0 if every promise was kept, 1 if not. */
import { parseArgs } from "node:util";
import { startChaos } from "./chaos-run.js";

const BREACHES_SHOWN = 100;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    tasks: { type: "string", default: "2000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
  },
});
const numbers = { seconds: Number(values.seconds), tasks: Number(values.tasks), seed: Number(values.seed) };
for (const [name, value] of Object.entries(numbers)) {
  if (Number.isSafeInteger(value) && value > 0) continue;
  process.stderr.write(`--${name} must be a whole number from 1\n`);
  process.exit(2);
}

const tell = (line: string): void => void process.stderr.write(`${line}\n`);
tell(`chaos: ${numbers.tasks} tasks in ${numbers.seconds} s, seed ${numbers.seed}`);
const chaos = startChaos({ ...numbers, tell });
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void chaos.stop().then(() => process.exit(1)));
}
const report = await chaos.report;
const { breaches } = report;
const shown = { ...report, breachCount: breaches.length, breaches: breaches.slice(0, BREACHES_SHOWN) };
process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
process.exit(breaches.length === 0 ? 0 : 1);
