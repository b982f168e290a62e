/** Why there is no connection, and what to do about it. Codes decide; texts of others are only passed on. */
import { AuthorizationError } from "@nats-io/transport-node";
import { PerdureError } from "../errors.js";
import type { ServerAddress } from "./server-url.js";

const untrusted = "The server's certificate is not trusted: name the authority that signed it (--tlsca, tls.caFile).";
const wantsCertificate =
  "The server wants a client's certificate from an authority it trusts: give one with its key (--tlscert and --tlskey, tls.certFile and tls.keyFile).";

/** By Node's code of a TLS failure. */
const adviceByCode: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: "Connect to a name that the server's certificate is made out for.",
  CERT_HAS_EXPIRED: "Renew the server's certificate.",
  ERR_SSL_WRONG_VERSION_NUMBER: "The server greets before it talks TLS: do not ask for the handshake first.",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: wantsCertificate,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: wantsCertificate,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: wantsCertificate,
};

/** Nobody answered in time. */
export class ConnectTimeout extends Error {}

export function connectError(addresses: readonly ServerAddress[], cause: unknown): PerdureError {
  const urls = addresses.map((address) => address.shown).join(", ");
  return new PerdureError(
    "CONNECTION_FAILED",
    `Cannot connect to NATS at ${urls}: ${reasonOf(cause)}. ${adviceFor(cause)}`,
    { details: { urls }, cause },
  );
}

function adviceFor(cause: unknown): string {
  if (cause instanceof AuthorizationError) {
    return "The server refused the credentials, or wants some: check token, user and password, creds or nkey.";
  }
  if (cause instanceof ConnectTimeout) {
    return "A server that wants TLS from the first byte, or a client's certificate, is as silent: say so with --tlsfirst, --tlscert and --tlskey. Or the network swallows what is sent there.";
  }
  const advice = adviceByCode[stringOf(cause, "code") ?? ""];
  return advice ?? "Start a server with `perdure dev`, or set NATS_URL to one that runs.";
}

/** OpenSSL's errors say in `reason` what their messages bury between code lines. */
function reasonOf(cause: unknown): string {
  return stringOf(cause, "reason") ?? (cause instanceof Error ? cause.message.trim() : String(cause));
}

function stringOf(cause: unknown, field: "code" | "reason"): string | undefined {
  if (typeof cause !== "object" || cause === null || !(field in cause)) return undefined;
  const value = (cause as Readonly<Record<string, unknown>>)[field];
  return typeof value === "string" ? value : undefined;
}
