/** Which agent gets a task: one that has its capabilities, is healthy and has a free place; the least loaded first. */

/** What a choice needs to know of an agent. */
export interface Candidate {
  readonly agentId: string;
  readonly active: number;
  readonly maximum: number;
  /** Grows with each assignment: among equally loaded agents the one that waited longest is next. */
  readonly lastAssignment: number;
}

/** Share of places taken first, then who waited longest, then the id, so that the choice is never a matter of luck. */
export function isLessLoaded(a: Candidate, b: Candidate): boolean {
  const difference = a.active * b.maximum - b.active * a.maximum;
  if (difference !== 0) return difference < 0;
  if (a.lastAssignment !== b.lastAssignment) return a.lastAssignment < b.lastAssignment;
  return a.agentId < b.agentId;
}
