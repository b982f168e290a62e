/** An orchestrator process as `perdure orchestrator` runs it, and nothing hooked into it: what it does here it does anywhere. */
import { PerdureError } from "../../src/errors.js";
import { createLogger } from "../../src/logger.js";
import { startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import type { OrchestratorSettingsInput } from "../../src/orchestrator/orchestrator-options.js";

/** Said to the parent whenever it changes. */
export type OrchestratorWord =
  | { readonly state: string }
  /** The code of the error it ended with; null after a stop. */
  | { readonly ended: string | null; readonly message?: string };

const { servers, settings } = JSON.parse(process.argv[2] ?? "") as {
  servers: string;
  settings: OrchestratorSettingsInput;
};

const STATE_POLL_MS = 20;

const say = (word: OrchestratorWord): void => void process.send?.(word);

function end(error: PerdureError | undefined): void {
  const word = error === undefined ? { ended: null } : { ended: error.code, message: error.message };
  process.send?.(word, () => process.exit(error === undefined ? 0 : 3));
}

process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
try {
  const orchestrator = await startOrchestrator({
    servers,
    settings,
    serverSync: "always",
    logger: createLogger("info"),
  });
  orchestrator.leading.catch(() => undefined);
  let said = "";
  setInterval(() => {
    const { state } = orchestrator;
    if (state !== said) say({ state });
    said = state;
  }, STATE_POLL_MS).unref();
  process.on("SIGTERM", () => void orchestrator.stop());
  end(await orchestrator.closed);
} catch (error) {
  if (!(error instanceof PerdureError)) throw error;
  end(error);
}
