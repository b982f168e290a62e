/** Thrown by the code that handles a message to say that no further delivery would mend it: it becomes a dead letter. */
export class GivenUpError extends Error {
  override readonly name = "GivenUpError";
}
