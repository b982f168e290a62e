/**
 * Which patches of a workflow's code a run takes. A replay takes a patch from the turn on in which its history has it,
 * and no earlier: until then the run had gone the old way.
 */
export class Patches {
  readonly #recorded = new Set<string>();
  /** Those that were taken, and those whose deprecation was noted: each is recorded once. */
  readonly #taken = new Set<string>();

  /** The turn that is repeated now recorded this one. */
  note(patchId: string): void {
    this.#recorded.add(patchId);
  }

  /** A "no" is not kept: once the run is live, the same question may be answered with "yes". */
  ask(patchId: string, mode: "replaying" | "live"): "taken before" | "taken now" | "not taken" {
    if (this.#taken.has(patchId)) return "taken before";
    if (mode === "replaying" && !this.#recorded.has(patchId)) return "not taken";
    this.#taken.add(patchId);
    return "taken now";
  }

  isTaken(patchId: string): boolean {
    return this.#taken.has(patchId);
  }
}
