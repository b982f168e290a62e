import { ContextMisuseError, NondeterminismError } from "../replay/errors.js";

const kinds = [NondeterminismError, ContextMisuseError, TypeError, ReferenceError, SyntaxError] as const;

/** What only a deployment heals: the run is held until then, and does not fail. */
export function isBrokenCode(thrown: unknown): boolean {
  return kinds.some((kind) => thrown instanceof kind);
}
