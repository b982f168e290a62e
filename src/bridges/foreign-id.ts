import { createHash } from "node:crypto";
import { ID_PATTERN } from "../protocol/ids.js";

const READABLE_LENGTH = 80;
const DIGEST_LENGTH = 16;

/**
 * The task id for a foreign id: itself where it can be one, else its usable characters and a digest of all of it. The same
 * foreign id always gives the same task id.
 */
export function taskIdOf(foreignId: string): string {
  if (ID_PATTERN.test(foreignId)) return foreignId;
  const readable = foreignId
    .replaceAll(/[^A-Za-z0-9_-]+/g, "-")
    .replace(/^[-_]+/, "")
    .slice(0, READABLE_LENGTH);
  const digest = createHash("sha256").update(foreignId).digest("hex").slice(0, DIGEST_LENGTH);
  return readable === "" ? digest : `${readable}-${digest}`;
}

/** What is replayed from the dead letters is done anew, so it is another task. */
export const replayedId = (taskId: string, replay: number): string =>
  replay === 0 ? taskId : taskIdOf(`${taskId}-r${replay}`);
