/** What a start means whose workflow id is known already: the same one, a new one in its place, or a refusal. */
import { endedStates, type TaskRecord, type TaskSpec } from "../../protocol/task-record.js";
import type { IdConflictPolicy, IdReusePolicy } from "../../protocol/workflow-options.js";
import { isSameTask, type Refusal } from "../admission.js";

export type IdVerdict =
  /** Nothing is started; a signal or an update that came with it is sent. */
  | { readonly kind: "existing" }
  /** The closed one makes way. */
  | { readonly kind: "replace" }
  /** The open one is terminated first. */
  | { readonly kind: "terminate" }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export interface IdPolicies {
  readonly idReusePolicy?: IdReusePolicy | undefined;
  readonly idConflictPolicy?: IdConflictPolicy | undefined;
}

/** What decides besides the policies. */
export interface IdHolder {
  /** Its last run was sent already the signal of this very request, or has taken its update. */
  readonly lastRunHeard: boolean;
  /** Tasks under way depend on what it came to. */
  readonly isNeeded: boolean;
}

/** @param existing the workflow that has the id, open or ended */
export function idVerdict(
  existing: TaskRecord,
  spec: TaskSpec,
  policies: IdPolicies,
  { lastRunHeard, isNeeded }: IdHolder,
): IdVerdict {
  // Asked again, it is the same request, whatever became of it meanwhile.
  if (existing.spec.requestId === spec.requestId || lastRunHeard) return { kind: "existing" };
  if (!endedStates.has(existing.state)) return ofOpen(existing, spec, policies);
  const verdict = ofClosed(existing, spec, policies);
  if (verdict.kind !== "replace" || !isNeeded) return verdict;
  const hint = "Use another id, or wait for those tasks to end, or cancel them.";
  return refused(existing, "tasks under way depend on what it came to", hint);
}

/**
 * The id of the signal that came with a start, if it is the request's own: one that the sender chose may come with
 * another request for reasons of its own.
 */
export function ownSignalIdOf({ run, requestId }: TaskSpec): string | null {
  return requestId !== undefined && run?.signal?.signalId === requestId ? requestId : null;
}

function hasMessage({ run }: TaskSpec): boolean {
  return run?.signal !== undefined || run?.update !== undefined;
}

function ofOpen(existing: TaskRecord, spec: TaskSpec, { idConflictPolicy, idReusePolicy }: IdPolicies): IdVerdict {
  switch (idConflictPolicy) {
    case "useExisting":
      return { kind: "existing" };
    case "terminateExisting":
      return { kind: "terminate" };
    case "fail":
      return refused(existing, "idConflictPolicy is fail");
    case undefined:
      break;
  }
  // Signal-with-start: an open run is signalled, and what else is said of the start is of no interest.
  if (hasMessage(spec)) return { kind: "existing" };
  if (idReusePolicy !== undefined) return refused(existing, "a run of it is open");
  return isSameTask(existing.spec, spec) ? { kind: "existing" } : refused(existing, "it is a different one");
}

function ofClosed(existing: TaskRecord, spec: TaskSpec, { idReusePolicy, idConflictPolicy }: IdPolicies): IdVerdict {
  switch (idReusePolicy) {
    case "allowDuplicate":
      return { kind: "replace" };
    case "allowDuplicateFailedOnly":
      return existing.state === "completed"
        ? refused(existing, "only a failed one may be repeated")
        : { kind: "replace" };
    case "rejectDuplicate":
      return refused(existing, "idReusePolicy is rejectDuplicate");
    case undefined:
      break;
  }
  // Temporal's default, for those who use its words; otherwise an id names one thing for as long as it is kept.
  if (hasMessage(spec) || idConflictPolicy !== undefined) return { kind: "replace" };
  return isSameTask(existing.spec, spec) ? { kind: "existing" } : refused(existing, "it is a different one");
}

const POLICY_HINT = "Use another id, or say with idReusePolicy or idConflictPolicy what is to happen.";

function refused(existing: TaskRecord, why: string, hint = POLICY_HINT): IdVerdict {
  const { taskId } = existing.spec;
  const message = `workflow ${taskId} exists already (${existing.state}) and ${why}; nothing was accepted. ${hint}`;
  return { kind: "refused", refusal: { code: "ID_CONFLICT", message, details: { taskId, state: existing.state } } };
}
