/**
 * How to reach a NATS server and as whom, in one shape for clients, agents and orchestrators. It holds secrets: nothing
 * in it but `servers` without their credentials, and names of files, may get into a log or an error.
 */
import { accessSync, constants } from "node:fs";
import type { NodeConnectionOptions } from "@nats-io/transport-node";
import { PerdureError } from "../errors.js";
import type { Logger } from "../logger.js";
import { authenticatorFor } from "./credentials.js";
import { parseServerUrl, type ServerAddress } from "./server-url.js";

/** Give one kind of credentials: `credsFile`, `nkeyFile`, `userJwt`, `user` with `password`, or `token`. */
export interface ConnectionOptions {
  /** `nats://` or `tls://` URLs. Credentials in one of them count unless some are given here. */
  readonly servers?: string | readonly string[] | undefined;
  readonly token?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** A file with a JWT and its seed, as `nsc` writes it. Read again for each connection, so it may be replaced. */
  readonly credsFile?: string | undefined;
  /** A file with the seed of a user's nkey. Read again for each connection. */
  readonly nkeyFile?: string | undefined;
  readonly userJwt?: string | undefined;
  /** The seed that belongs to `userJwt`; none for a server that takes bearer tokens. */
  readonly userSeed?: string | undefined;
  /** Given, even if empty: talk to no server without TLS. Not given: as the server wants it. */
  readonly tls?: TlsOptions | undefined;
  /** Subjects for replies begin with this, so that permissions can keep others from reading them. Default "_INBOX". */
  readonly inboxPrefix?: string | undefined;
}

/** Files in PEM. Each is read again for each connection. */
export interface TlsOptions {
  /** Whom to trust. Default: what Node trusts. */
  readonly caFile?: string | undefined;
  /** The client's own certificate, for a server that asks for one; goes with `keyFile`. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** `first`: before the server's greeting, as a server with `handshake_first` wants it. Default "afterGreeting". */
  readonly handshake?: "first" | "afterGreeting" | undefined;
}

/** Names of the options above, so that one function can pick them out of a larger set. */
const connectionOptionNames = [
  "servers",
  "token",
  "user",
  "password",
  "credsFile",
  "nkeyFile",
  "userJwt",
  "userSeed",
  "tls",
  "inboxPrefix",
] as const satisfies readonly (keyof ConnectionOptions)[];

/** Of the options of a client, an agent or an orchestrator, those about the connection. */
export function connectionOptionsOf(options: ConnectionOptions): ConnectionOptions {
  return Object.fromEntries(connectionOptionNames.map((name) => [name, options[name]]));
}

/**
 * What the client library takes for them.
 * @throws PerdureError USAGE for credentials that contradict each other or cannot be read
 */
export function libraryOptionsFor(
  options: ConnectionOptions,
  addresses: readonly ServerAddress[],
  logger: Logger,
): NodeConnectionOptions {
  const { inboxPrefix } = options;
  const tls = tlsFor(options, addresses);
  const authenticator = authenticatorFor(withCredentialsOfUrl(options, addresses), logger);
  return {
    servers: addresses.map((address) => address.host),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(tls === undefined ? {} : { tls }),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
  };
}

export const addressesOf = (servers: string | readonly string[]): readonly ServerAddress[] =>
  [servers].flat().map(parseServerUrl);

function withCredentialsOfUrl(options: ConnectionOptions, addresses: readonly ServerAddress[]): ConnectionOptions {
  const { token, user, credsFile, nkeyFile, userJwt } = options;
  if ([token, user, credsFile, nkeyFile, userJwt].some((given) => given !== undefined)) return options;
  const inUrl = addresses.find((address) => address.user !== undefined || address.token !== undefined);
  return inUrl === undefined ? options : { ...options, user: inUrl.user, password: inUrl.password, token: inUrl.token };
}

function tlsFor(
  { tls }: ConnectionOptions,
  addresses: readonly ServerAddress[],
): NonNullable<NodeConnectionOptions["tls"]> | undefined {
  const isWanted = tls !== undefined || addresses.some(({ transport }) => transport === "tls");
  if (!isWanted) return undefined;
  const { caFile, certFile, keyFile, handshake } = tls ?? {};
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new PerdureError(
      "USAGE",
      `a client's certificate goes with its key, and only ${certFile === undefined ? "the key" : "the certificate"} was given; give both files`,
    );
  }
  for (const path of [caFile, certFile, keyFile]) if (path !== undefined) assertReadable(path);
  return {
    ...(caFile === undefined ? {} : { caFile }),
    ...(certFile === undefined || keyFile === undefined ? {} : { certFile, keyFile }),
    ...(handshake === "first" ? { handshakeFirst: true } : {}),
  };
}

function assertReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PerdureError("USAGE", `cannot use ${path} for TLS: ${reason}; nothing was sent`, { details: { path } });
  }
}
