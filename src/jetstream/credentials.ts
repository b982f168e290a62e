/**
 * Credentials -> what answers the server's challenge. Files are read once up front, so that what is wrong with them is
 * said before anything is dialled, and again for each connection, so that credentials can be replaced while we run.
 */
import { readFileSync } from "node:fs";
import {
  type Authenticator,
  credsAuthenticator,
  jwtAuthenticator,
  nkeyAuthenticator,
  nkeys,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { ConnectionOptions } from "./connection-options.js";

/**
 * Undefined where no credentials are given.
 * @throws PerdureError USAGE for more than one kind, or for credentials that cannot be read; never with their content
 */
export function authenticatorFor(options: ConnectionOptions, logger: Logger): Authenticator | undefined {
  const { credsFile, nkeyFile, userJwt, userSeed, user, password, token } = options;
  const kinds = Object.entries({ credsFile, nkeyFile, userJwt, user, token }).filter(
    ([, given]) => given !== undefined,
  );
  if (kinds.length > 1) {
    const names = kinds.map(([name]) => name).join(" and ");
    throw new PerdureError("USAGE", `one kind of credentials can be used, and ${names} were given; leave one out`);
  }
  if (credsFile !== undefined) return credsAuthenticator(keptFresh(credsFile, parseCreds, logger));
  if (nkeyFile !== undefined) return nkeyAuthenticator(keptFresh(nkeyFile, parseSeed, logger));
  if (userJwt !== undefined)
    return jwtAuthenticator(userJwt.trim(), userSeed === undefined ? undefined : given(userSeed));
  if (user !== undefined) return usernamePasswordAuthenticator(user, password);
  return token === undefined ? undefined : tokenAuthenticator(token);
}

function given(userSeed: string): Uint8Array {
  const seed = parseSeed(userSeed);
  if (seed === undefined) throw new PerdureError("USAGE", "userSeed is no seed of an nkey; nothing was sent");
  return seed;
}

/** Undefined for a text that holds no such thing. */
type Parse = (text: string) => Uint8Array | undefined;

/** The content of a file as it is now; where that cannot be used, as it was last. */
function keptFresh(path: string, parse: Parse, logger: Logger): () => Uint8Array {
  const read = (): Uint8Array => {
    const content = parse(readFileSync(path, "utf8"));
    if (content === undefined) throw new Error(`${path} holds none`);
    return content;
  };
  let last: Uint8Array;
  try {
    last = read();
  } catch (cause) {
    throw new PerdureError("USAGE", `cannot read credentials: ${reasonOf(cause)}; nothing was sent`, {
      details: { path },
    });
  }
  return () => {
    // The library asks in the middle of a handshake, and a throw there would close the connection for good.
    try {
      last = read();
    } catch (cause) {
      logger.warn({ reason: reasonOf(cause) }, "cannot read credentials again; going on with those read before");
    }
    return last;
  };
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** A JWT and a seed, each between two lines of dashes, in the shape that the library takes. */
const credsPattern = /-{3,}[^\n]*-{3,}\n\s*(\S+)\s*\n-{3,}[^\n]*-{3,}\n/g;

function parseCreds(text: string): Uint8Array | undefined {
  const creds = `${text.replaceAll("\r\n", "\n")}\n`;
  const [, seed] = [...creds.matchAll(credsPattern)].map(([, block]) => block);
  return seed === undefined || parseSeed(seed) === undefined ? undefined : new TextEncoder().encode(creds);
}

/** A line of its own, with or without the decoration around it. */
const seedPattern = /^\s*(S[A-Z2-7]{57})\s*$/m;

function parseSeed(text: string): Uint8Array | undefined {
  const [, found] = seedPattern.exec(text) ?? [];
  if (found === undefined) return undefined;
  const seed = new TextEncoder().encode(found);
  try {
    nkeys.fromSeed(seed);
  } catch {
    // A wrong checksum, most often of a seed that was cut when it was copied.
    return undefined;
  }
  return seed;
}
