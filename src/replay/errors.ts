/** The code and the history differ: a deployment changed the workflow, or the code is not deterministic. */
export class NondeterminismError extends Error {
  override readonly name = "NondeterminismError";
  /** Where in the history; null where it has nothing yet. */
  readonly eventId: number | null;

  constructor(message: string, eventId: number | null) {
    super(message);
    this.eventId = eventId;
  }
}

/** A workflow's context was used where it means nothing: in a step, in a query, in the code of another run. */
export class ContextMisuseError extends Error {
  override readonly name = "ContextMisuseError";
  /** A step that makes this mistake makes it each time. */
  readonly nonRetryable = true;
}
