/** `npm run chaos -- --seconds 600 --tasks 20000 --seed 42`: one run; exit 0 if every promise was kept, 1 if not. */
import { parseArgs } from "node:util";
import { runChaos } from "./chaos-run.js";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    tasks: { type: "string", default: "2000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1_000_000)) },
  },
});
const numbers = { seconds: Number(values.seconds), tasks: Number(values.tasks), seed: Number(values.seed) };
for (const [name, value] of Object.entries(numbers)) {
  if (!Number.isSafeInteger(value) || value < 1) {
    process.stderr.write(`--${name} must be a whole number from 1\n`);
    process.exit(2);
  }
}

process.stderr.write(`chaos: ${numbers.tasks} tasks in ${numbers.seconds} s, seed ${numbers.seed}\n`);
const report = await runChaos({ ...numbers, tell: (line) => process.stderr.write(`${line}\n`) });
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
process.exit(report.breaches.length === 0 ? 0 : 1);
