/**
 * Domain security: reads `advisories.json` and `inventory.json` and writes a ranked briefing. A task that names packages of
 * the feed is about those alone.
 */
import { join } from "node:path";
import { AdvisoryFeed, Inventory, type RankedAdvisory, rankAdvisories } from "./advisories.js";
import { readJsonFile } from "./data-file.js";
import { type Executor, nothingSpent } from "./executor.js";
import { count, table } from "./markdown.js";

const rowsMax = 12;

export function securityExecutor(folder: string, now: () => Date = () => new Date()): Executor {
  return {
    async execute({ task }, { signal, log }) {
      const { advisories } = await readJsonFile(join(folder, "advisories.json"), AdvisoryFeed, signal);
      const inventory = await readJsonFile(join(folder, "inventory.json"), Inventory, signal);
      const words = new Set(
        task
          .toLowerCase()
          .split(/[^a-z0-9@/._-]+/)
          .map((word) => word.replace(/[.]+$/, "")),
      );
      const named = advisories.filter((advisory) => words.has(advisory.package.toLowerCase()));
      const today = now();
      const ranked = rankAdvisories(named.length > 0 ? named : advisories, inventory, today);
      log.info({ advisories: ranked.length, affecting: ranked.filter(isAffecting).length }, "ranked advisories");
      return { ...nothingSpent, result: briefing(ranked, inventory, today) };
    },
  };
}

const isAffecting = ({ affected }: RankedAdvisory): boolean => affected.length > 0;

function briefing(ranked: readonly RankedAdvisory[], { packages }: Inventory, today: Date): string {
  const affecting = ranked.filter(isAffecting);
  const used = ranked.filter(({ advisory }) => advisory.exploitation === "active");
  const shown = ranked.slice(0, Math.max(rowsMax, affecting.length));
  const more = ranked.length - shown.length;
  return [
    `# Security briefing of ${today.toISOString().slice(0, 10)}`,
    `${count(ranked.length, "advisory")} read, ${used.length} of them seen in attacks. ${affecting.length} affect what we run (${count(packages.length, "package")} in the inventory).`,
    "## What to do",
    affecting.length === 0 ? "Nothing: no package of the inventory is affected." : affecting.map(actionOf).join("\n"),
    "## Ranking",
    table(
      ["#", "Advisory", "Package", "Severity", "Exploitation", "Age", "Score", "Here"],
      shown.map(({ advisory, severity, ageDays, score, affected }, index) => [
        String(index + 1),
        advisory.id,
        advisory.package,
        `${severity} (${advisory.cvss.toFixed(1)})`,
        advisory.exploitation,
        `${ageDays} d`,
        score.toFixed(1),
        affected.map(({ version, usedBy }) => `${version} in ${usedBy}`).join(", ") || "no",
      ]),
    ),
    ...(more > 0 ? [`${more} more rank below and affect nothing here.`] : []),
  ].join("\n\n");
}

function actionOf({ advisory, severity, affected }: RankedAdvisory, index: number): string {
  const where = affected.map(({ version, usedBy }) => `${version} in ${usedBy}`).join(", ");
  const remedy = advisory.fixed === null ? "has no fix yet: take it out of reach" : `goes to ${advisory.fixed}`;
  const urgency = advisory.exploitation === "active" ? ", now: it is being attacked" : "";
  return `${index + 1}. **${advisory.package}** (${where}) ${remedy}${urgency}. ${severity}, ${advisory.id}: ${advisory.summary}`;
}
