/**
 * Which advisories matter first. What affects a package of the inventory comes before everything else; then the score,
 * which weighs how bad it is, whether it is being used, and how new it is.
 */
import { z } from "zod";
import { compareVersions } from "./versions.js";

const Day = z.iso.date();

export const Advisory = z.object({
  id: z.string(),
  ecosystem: z.string(),
  package: z.string(),
  /** First version that is affected; null: every one before the fix. */
  introduced: z.string().nullable(),
  /** First version that is not affected any more; null: there is none yet. */
  fixed: z.string().nullable(),
  /** CVSS base score. */
  cvss: z.number().min(0).max(10),
  /** `active`: seen in attacks; `public`: there is code for it. */
  exploitation: z.enum(["active", "public", "none"]),
  published: Day,
  summary: z.string(),
});
export type Advisory = z.infer<typeof Advisory>;

export const AdvisoryFeed = z.object({ advisories: z.array(Advisory) });

export const Inventory = z.object({
  packages: z.array(
    z.object({
      ecosystem: z.string(),
      package: z.string(),
      version: z.string(),
      /** Where it runs. */
      usedBy: z.string(),
    }),
  ),
});
export type Inventory = z.infer<typeof Inventory>;
type Installed = Inventory["packages"][number];

export interface RankedAdvisory {
  readonly advisory: Advisory;
  readonly severity: "critical" | "high" | "medium" | "low";
  /** 0 to 24.7; comparable within one ranking. */
  readonly score: number;
  readonly ageDays: number;
  /** What of the inventory is affected. */
  readonly affected: readonly Installed[];
}

const exploitationFactor = { active: 1.9, public: 1.3, none: 1 } as const;
const dayMs = 86_400_000;

export function rankAdvisories(
  advisories: readonly Advisory[],
  inventory: Inventory,
  today: Date,
): readonly RankedAdvisory[] {
  return advisories
    .map((advisory): RankedAdvisory => {
      const ageDays = Math.max(0, Math.floor((today.getTime() - Date.parse(advisory.published)) / dayMs));
      const factor = exploitationFactor[advisory.exploitation] * ageFactor(ageDays);
      return {
        advisory,
        severity: severityOf(advisory.cvss),
        score: Math.round(advisory.cvss * factor * 10) / 10,
        ageDays,
        affected: inventory.packages.filter((installed) => isAffected(installed, advisory)),
      };
    })
    .sort(
      (a, b) =>
        Math.sign(b.affected.length) - Math.sign(a.affected.length) ||
        b.score - a.score ||
        a.ageDays - b.ageDays ||
        (a.advisory.id < b.advisory.id ? -1 : 1),
    );
}

/** The bands of CVSS 3. */
export function severityOf(cvss: number): RankedAdvisory["severity"] {
  if (cvss >= 9) return "critical";
  if (cvss >= 7) return "high";
  return cvss >= 4 ? "medium" : "low";
}

/** What is new is patched nowhere yet; what is old and still here has had its time. */
function ageFactor(ageDays: number): number {
  if (ageDays <= 30) return 1.3;
  return ageDays <= 365 ? 1.1 : 1;
}

function isAffected(installed: Installed, { ecosystem, package: name, introduced, fixed }: Advisory): boolean {
  if (installed.ecosystem !== ecosystem || installed.package.toLowerCase() !== name.toLowerCase()) return false;
  if (introduced !== null && compareVersions(installed.version, introduced) < 0) return false;
  return fixed === null || compareVersions(installed.version, fixed) < 0;
}
