/**
 * Where to connect and as whom: option, then environment variable, then context of the `nats` CLI, then default; each
 * setting by itself, as in `nats`. Credentials count as one setting: those of the nearest level that has any are used,
 * and none of a farther one, so that a password never goes along to where another identity was asked for.
 */
import type { ConnectionOptions } from "../jetstream/connection-options.js";
import type { Environment } from "./environment.js";
import { type NatsContext, readContext } from "./nats-context.js";

/** As commander hands them over: absent unless given. */
export interface ConnectionFlags {
  readonly server?: string;
  readonly context?: string;
  readonly creds?: string;
  readonly nkey?: string;
  readonly tlscert?: string;
  readonly tlskey?: string;
  readonly tlsca?: string;
  readonly tlsfirst?: true;
  readonly inboxPrefix?: string;
}

export interface ConnectionSettings {
  readonly options: ConnectionOptions & { readonly servers: readonly string[] };
  /** The context in use. */
  readonly context: NatsContext | undefined;
}

const SERVER_DEFAULT = "nats://127.0.0.1:4222";

/** What one level may say; every level may leave everything out. */
type Level = Partial<
  Pick<
    NatsContext,
    "url" | "user" | "password" | "token" | "creds" | "nkey" | "userJwt" | "userSeed" | "cert" | "key" | "ca"
  >
>;

/** @throws PerdureError USAGE for a context that cannot be used */
export function connectionSettings(
  flags: ConnectionFlags,
  { nats, configHome }: Pick<Environment, "nats" | "configHome">,
): ConnectionSettings {
  const context = readContext(flags.context ?? nats.context, configHome);
  const { server: url, creds, nkey, tlscert: cert, tlskey: key, tlsca: ca } = flags;
  const levels: readonly Level[] = [
    { url, creds, nkey, cert, key, ca },
    // As in `nats`: a name without a password is a token.
    nats.password === undefined ? { ...nats, user: undefined, token: nats.token ?? nats.user } : nats,
    context ?? {},
  ];
  const named = levels.find((level) => level.url !== undefined);
  return {
    context,
    options: {
      // A cluster is written as one text with commas, as in every NATS tool.
      servers: (named?.url ?? SERVER_DEFAULT).split(",").map((server) => server.trim()),
      ...credentialsOf(levels, named),
      tls: tlsOf(levels, flags.tlsfirst === true || context?.tls === "first" ? "first" : undefined),
      inboxPrefix: flags.inboxPrefix ?? context?.inboxPrefix,
    },
  };
}

/** @param named the level whose URL is used; another one's URL, with the credentials in it, is not */
function credentialsOf(levels: readonly Level[], named: Level | undefined): Omit<ConnectionOptions, "servers"> {
  for (const level of levels) {
    // The connection takes them out of the URL.
    if (level === named && level.url?.includes("@") === true) return {};
    const { user, password, creds, nkey, userJwt, userSeed, token } = level;
    // In the order in which `nats` looks at them.
    if (user !== undefined) return { user, password };
    if (creds !== undefined) return { credsFile: creds };
    if (nkey !== undefined) return { nkeyFile: nkey };
    if (userJwt !== undefined) return { userJwt, userSeed };
    if (token !== undefined) return { token };
  }
  return {};
}

function tlsOf(levels: readonly Level[], handshake: "first" | undefined): ConnectionOptions["tls"] {
  const own = levels.find(({ cert, key }) => cert !== undefined || key !== undefined);
  const caFile = levels.find(({ ca }) => ca !== undefined)?.ca;
  if (own === undefined && caFile === undefined && handshake === undefined) return undefined;
  return { caFile, certFile: own?.cert, keyFile: own?.key, handshake };
}
