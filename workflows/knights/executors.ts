/** What the knights here can do: four domains, none of which asks a model. */
import type { Executors } from "./executor.js";
import { financeExecutor } from "./finance.js";
import { infraExecutor } from "./infra.js";
import { researchExecutor } from "./research.js";
import { securityExecutor } from "./security.js";

export function executorsOver(dataFolder: string): Executors {
  return {
    security: securityExecutor(dataFolder),
    infra: infraExecutor,
    finance: financeExecutor(dataFolder),
    research: researchExecutor(dataFolder),
  };
}
