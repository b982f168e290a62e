/** What fits into one message: an answer that is too long for NATS would be no answer at all. */

/** A UTF-16 unit takes at most three bytes: most messages need no exact measure. */
export function exceeds(body: string, bytesMax: number): boolean {
  return body.length * 3 > bytesMax && Buffer.byteLength(body) > bytesMax;
}

/** For the envelope and the fields beside the list. */
const ROOM_BYTES = 16 * 1024;

/** The longest beginning of `items` whose JSON leaves room for the rest of a message of `messageBytesMax`. */
export function fitting<T>(items: readonly T[], messageBytesMax: number): readonly T[] {
  let left = messageBytesMax - ROOM_BYTES;
  for (const [index, item] of items.entries()) {
    left -= Buffer.byteLength(JSON.stringify(item)) + 1;
    if (left < 0) return items.slice(0, index);
  }
  return items;
}
