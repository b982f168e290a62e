/** What queries and updates fail with. */
import type { Failure } from "../protocol/failure.js";
import { errorOf } from "../workflow/failures.js";

export class QueryFailedError extends Error {
  override readonly name = "QueryFailedError";
  readonly failure: Failure;

  constructor(workflowId: string, query: string, failure: Failure) {
    super(`query ${query} of workflow ${workflowId} failed: ${failure.message}`, { cause: errorOf(failure) });
    this.failure = failure;
  }
}

export class UpdateFailedError extends Error {
  override readonly name = "UpdateFailedError";
  /** `rejected`: it left no trace. `failed`: it was accepted, and its handler threw. */
  readonly stage: "rejected" | "failed";
  readonly failure: Failure;

  constructor(workflowId: string, update: string, stage: "rejected" | "failed", failure: Failure) {
    super(
      `update ${update} of workflow ${workflowId} ${stage === "rejected" ? "was rejected" : "failed"}: ${failure.message}`,
      {
        cause: errorOf(failure),
      },
    );
    this.stage = stage;
    this.failure = failure;
  }
}
