import { auditEngines } from "../../../workflows/dependency-audit/engines.js";
import { auditLicence } from "../../../workflows/dependency-audit/licence.js";
import type { PackageChecks } from "../../../workflows/dependency-audit/messages.js";
import type { AuditPlan } from "../../../workflows/dependency-audit/plan.js";
import { auditSize } from "../../../workflows/dependency-audit/size.js";

/** What the agents would answer, in this process. */
export async function checksOf({ projectPath, packagePaths }: AuditPlan): Promise<PackageChecks[]> {
  return await Promise.all(
    packagePaths.map(async (packagePath) => {
      const input = { projectPath, packagePath };
      const [licence, size, engines] = await Promise.all([auditLicence(input), auditSize(input), auditEngines(input)]);
      return { packagePath, licence, size, engines };
    }),
  );
}
