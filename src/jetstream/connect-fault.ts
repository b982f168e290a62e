import { AuthorizationError, UserAuthenticationExpiredError } from "@nats-io/transport-node";

/** Why no connection came about, as far as the errors of the network and the client library tell. */
export type ConnectFault = "credentials" | "tls" | "nameUnknown" | "refused" | "unreachable" | "other";

const nameCodes: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_NONAME", "EAI_FAIL"]);
const unreachableCodes: ReadonlySet<string> = new Set(["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN"]);
/** Of Node's own TLS errors and of OpenSSL's verdicts on certificates. */
const tlsCode =
  /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** Looks through an error of `connect` and all its causes. */
export function connectFaultOf(error: unknown): ConnectFault {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof AuthorizationError || current instanceof UserAuthenticationExpiredError) {
      return "credentials";
    }
    const code = "code" in current && typeof current.code === "string" ? current.code : "";
    if (nameCodes.has(code)) return "nameUnknown";
    if (code === "ECONNREFUSED") return "refused";
    if (unreachableCodes.has(code)) return "unreachable";
    if (tlsCode.test(code)) return "tls";
  }
  return "other";
}
