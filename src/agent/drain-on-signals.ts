import type { Agent } from "./agent.js";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/**
 * Lets the process's first SIGTERM or SIGINT drain the agent and the second one stop it at once; a third one has the
 * effect it has without this. Ends by itself with the agent; the returned function ends it before.
 */
export function drainOnSignals(agent: Agent): () => void {
  let received = 0;
  const remove = (): void => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const onSignal = (): void => {
    received += 1;
    if (received === 1) {
      void agent.drain();
    } else {
      remove();
      void agent.stop();
    }
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  agent.closed.then(remove, remove);
  return remove;
}
