/** From a list of addresses to a connection, or to everything that can be said about why there is none. */
import { PerdureError } from "../errors.js";
import { type ConnectFault, connectFaultOf } from "../jetstream/connect-fault.js";
import { type Connection, connect } from "../jetstream/connection.js";
import { addressesOf, type ConnectionOptions, libraryOptionsFor } from "../jetstream/connection-options.js";
import type { ServerAddress } from "../jetstream/server-url.js";
import { silentLogger } from "../logger.js";
import type { ServerProbe } from "./facts.js";
import { probeServer } from "./probe-server.js";

export type Target = ConnectionOptions & { readonly servers: string | readonly string[] };

export interface Dialled {
  readonly probes: readonly ServerProbe[];
  readonly connection: Connection | Refused;
}

export interface Refused {
  readonly fault: ConnectFault;
  readonly said: string;
}

/** @throws PerdureError USAGE for credentials that cannot be used, before anything is dialled. */
export async function dial(target: Target, timeoutMs: number): Promise<Dialled> {
  const addresses = readAddresses(target.servers);
  if (addresses instanceof PerdureError) {
    return { probes: [], connection: { fault: "other", said: addresses.message } };
  }
  // Throws for credentials that cannot be used, also where there will be nobody to show them to.
  libraryOptionsFor(target, addresses, silentLogger);
  const probes = await Promise.all(
    addresses.map(async (address) => asWanted(target, await probeServer(address, timeoutMs))),
  );
  const servers = serversToDial(target, probes);
  const credentials = credentialsOf(target, addresses);
  return { probes, connection: await tryToConnect({ ...target, ...credentials, servers }, timeoutMs) };
}

function readAddresses(servers: string | readonly string[]): readonly ServerAddress[] | PerdureError {
  try {
    return addressesOf(servers);
  } catch (error) {
    if (error instanceof PerdureError) return error;
    throw error;
  }
}

/** One that wants TLS from the first byte greets nobody who only looks. */
function asWanted({ tls }: Target, probe: ServerProbe): ServerProbe {
  const isExpected = tls?.handshake === "first" && probe.outcome === "silent";
  return isExpected ? { ...probe, outcome: "greeted", said: "", wants: ["tls"] } : probe;
}

/** The client library stumbles over what is no server, and waits for ever for one that is silent. */
function serversToDial({ servers }: Target, probes: readonly ServerProbe[]): readonly string[] {
  return [servers].flat().filter((_, index) => probes[index]?.outcome === "greeted");
}

/** Those of a URL count for all servers, also where its own is not dialled. */
function credentialsOf(target: Target, addresses: readonly ServerAddress[]): ConnectionOptions {
  const { token, user, credsFile, nkeyFile, userJwt } = target;
  if ([token, user, credsFile, nkeyFile, userJwt].some((given) => given !== undefined)) return {};
  const inUrl = addresses.find((address) => address.user !== undefined || address.token !== undefined);
  return inUrl === undefined ? {} : { user: inUrl.user, password: inUrl.password, token: inUrl.token };
}

async function tryToConnect(target: Target, timeoutMs: number): Promise<Connection | Refused> {
  if (target.servers.length === 0) return { fault: "other", said: "no server greeted" };
  try {
    return await connect({
      ...target,
      name: "perdure doctor",
      connectionTimeoutMs: timeoutMs,
      logger: silentLogger,
    });
  } catch (error) {
    if (!(error instanceof PerdureError) || error.code !== "CONNECTION_FAILED") throw error;
    const { cause } = error;
    return { fault: connectFaultOf(error), said: cause instanceof Error ? cause.message : error.message };
  }
}
