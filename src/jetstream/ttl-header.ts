export const TTL_HEADER = "Nats-TTL";

/**
 * The header after whose time a stream forgets a message (NATS ADR-43). The server counts whole seconds and takes no
 * less than one, so a life is rounded up: nothing expires early.
 */
export function ttlHeader(ttlMs: number): Readonly<Record<string, string>> {
  return { [TTL_HEADER]: `${Math.max(1, Math.ceil(ttlMs / 1_000))}s` };
}
