/**
 * Ids of the messages that were counted last: a producer that got no answer publishes again, without a `Nats-Msg-Id` or
 * after the stream has forgotten it, and the same decision under another sequence is still one. Kept as eight characters
 * of a digest each, so that it fits into a stored value: the chance that one of a million messages is taken for
 * another is below one in ten thousand.
 */
import { createHash } from "node:crypto";

const KEPT_MAX = 20_000;
const DIGEST_LENGTH = 8;

export class RecentIds {
  /** Oldest first. */
  readonly #digests: Set<string>;

  constructor(stored = "") {
    this.#digests = new Set(stored.match(new RegExp(`.{${DIGEST_LENGTH}}`, "g")));
  }

  /** False where it is among them already. */
  add(...id: readonly string[]): boolean {
    const digest = createHash("sha256").update(JSON.stringify(id)).digest("base64url").slice(0, DIGEST_LENGTH);
    if (this.#digests.has(digest)) return false;
    this.#digests.add(digest);
    for (const oldest of this.#digests) {
      if (this.#digests.size <= KEPT_MAX) break;
      this.#digests.delete(oldest);
    }
    return true;
  }

  toString(): string {
    return [...this.#digests].join("");
  }
}
