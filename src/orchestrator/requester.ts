/**
 * Who a message is from, where the server says so: through an import between accounts with `share: true` it puts the
 * sender's connection into a header, and replaces one that the sender had written itself.
 */
import { z } from "zod";
import type { Message } from "../jetstream/connection.js";
import { decodeJson } from "../protocol/decode.js";

const REQUEST_INFO = "Nats-Request-Info";

/** `user` is the name of the user, or the public key of one that has an nkey or a JWT. */
const RequestInfo = z.object({ user: z.string() });

const PUBLIC_KEY = /^U[A-Z2-7]{55}$/;

/**
 * The name that the sender proved to have; undefined where the server does not say, or knows a key and no name. Only
 * good for refusing: without `share`, whoever wrote the header may have written anything.
 */
export function provenName(message: Message): string | undefined {
  const header = message.header(REQUEST_INFO);
  if (header === undefined) return undefined;
  const decoded = decodeJson(Buffer.from(header));
  const info = RequestInfo.safeParse(decoded.ok ? decoded.value : undefined);
  return info.success && !PUBLIC_KEY.test(info.data.user) ? info.data.user : undefined;
}
