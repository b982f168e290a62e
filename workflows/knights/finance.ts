/** Domain finance: reads `ledger.csv` and `budget.json` and holds the last month in it against the budget and the one before. */
import { join } from "node:path";
import { z } from "zod";
import { readJsonFile, readTextFile } from "./data-file.js";
import { type Executor, nothingSpent } from "./executor.js";
import { count, table } from "./markdown.js";

const Budget = z.object({ currency: z.string(), monthly: z.record(z.string(), z.number().positive()) });
type Budget = z.infer<typeof Budget>;

const Entry = z.object({
  date: z.iso.date(),
  category: z.string().min(1),
  /** Of one currency; income is negative spending. */
  amount: z.string().regex(/^-?\d+(\.\d{1,2})?$/, "must be an amount like 12.50"),
  text: z.string(),
});

interface Spending {
  readonly date: string;
  readonly category: string;
  readonly cents: number;
  readonly text: string;
}

/** An entry that is so many times the usual one of its category is worth a look. */
const unusualFactor = 4;

export function financeExecutor(folder: string): Executor {
  return {
    async execute(_task, { signal, log }) {
      const path = join(folder, "ledger.csv");
      const spending = readLedger(await readTextFile(path, signal), path);
      const budget = await readJsonFile(join(folder, "budget.json"), Budget, signal);
      log.info({ entries: spending.length }, "read the ledger");
      return { ...nothingSpent, result: report(spending, budget) };
    },
  };
}

/** A head line with the columns' names, then one entry a line; no quotes, so the text comes last and may hold commas. */
export function readLedger(csv: string, path: string): readonly Spending[] {
  const [head, ...lines] = csv.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (head !== "date,category,amount,text")
    throw new Error(`${path} begins with "${head}", not date,category,amount,text`);
  return lines.map((line, index) => {
    const [date, category, amount, ...text] = line.split(",");
    const parsed = Entry.safeParse({ date, category, amount, text: text.join(",") });
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new Error(`${path} line ${index + 2}: ${issue?.path.join(".")}: ${issue?.message}`);
    }
    return { ...parsed.data, cents: Math.round(Number(parsed.data.amount) * 100) };
  });
}

function report(spending: readonly Spending[], { currency, monthly }: Budget): string {
  const months = [...new Set(spending.map(monthOf))].sort();
  const month = months.at(-1);
  if (month === undefined) return "The ledger is empty.";
  const before = months.at(-2);
  const now = spending.filter((entry) => monthOf(entry) === month);
  const categories = [...new Set([...Object.keys(monthly), ...now.map(({ category }) => category)])].sort();
  const money = (cents: number): string => `${(cents / 100).toFixed(2)} ${currency}`;
  const spent = (of: string | undefined, category: string): number =>
    sum(spending.filter((entry) => monthOf(entry) === of && entry.category === category));
  const over = categories.filter((category) => spent(month, category) > 100 * (monthly[category] ?? Infinity));
  const unusual = now.filter((entry) => isUnusual(entry, spending));
  return [
    `# Spending in ${month}`,
    `${money(sum(now))} in ${count(now.length, "entry")}; ${over.length === 0 ? "every budget holds" : `over budget: ${over.join(", ")}`}.`,
    table(
      ["Category", "Spent", "Budget", before ?? "Month before"],
      categories.map((category) => [
        category,
        money(spent(month, category)),
        monthly[category] === undefined ? "none" : money(100 * monthly[category]),
        before === undefined ? "" : money(spent(before, category)),
      ]),
    ),
    ...(unusual.length === 0
      ? []
      : ["## Unusual", unusual.map(({ date, text, cents }) => `- ${date} ${text}: ${money(cents)}`).join("\n")]),
  ].join("\n\n");
}

const monthOf = ({ date }: Spending): string => date.slice(0, 7);
const sum = (entries: readonly Spending[]): number => entries.reduce((total, { cents }) => total + cents, 0);

function isUnusual(entry: Spending, all: readonly Spending[]): boolean {
  const others = all.filter((other) => other !== entry && other.category === entry.category).map(({ cents }) => cents);
  const median = others.sort((a, b) => a - b)[Math.floor(others.length / 2)];
  return median !== undefined && median > 0 && entry.cents > unusualFactor * median;
}
