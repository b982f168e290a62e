import { PerdureError } from "../errors.js";

export interface ServerAddress {
  /** What the client library dials: `host:port`. */
  readonly host: string;
  /** For people: without credentials. */
  readonly shown: string;
  readonly user?: string;
  readonly password?: string;
  /** `nats://token@host`: a name without a password is a token, as in every NATS client. */
  readonly token?: string;
  /** Of `tls://`: no connection without it. */
  readonly transport?: "tls";
}

const DEFAULT_PORT = "4222";
const SCHEME = /^([a-z]+):\/\//i;
const schemes: readonly string[] = ["nats", "tls"];

/**
 * Takes what people put into NATS_URL apart: the client library ignores the credentials of a URL.
 * @throws PerdureError CONNECTION_FAILED if it is no address of a NATS server.
 */
export function parseServerUrl(text: string): ServerAddress {
  const [, scheme = "nats"] = SCHEME.exec(text.trim().toLowerCase()) ?? [];
  if (!schemes.includes(scheme)) {
    throw new PerdureError(
      "CONNECTION_FAILED",
      `${JSON.stringify(redact(text))} begins with ${scheme}://, and Perdure talks nats:// and tls:// only; give the server's client port.`,
    );
  }
  try {
    const url = new URL(`nats://${text.trim().replace(SCHEME, "")}`);
    if (url.hostname === "") throw new Error("no host");
    const host = `${url.hostname}:${url.port === "" ? DEFAULT_PORT : url.port}`;
    const shown = `${scheme}://${host}`;
    const address: ServerAddress = { host, shown, ...(scheme === "tls" ? { transport: "tls" } : {}) };
    if (url.username === "") return address;
    const name = decodeURIComponent(url.username);
    if (url.password === "") return { ...address, token: name };
    return { ...address, user: name, password: decodeURIComponent(url.password) };
  } catch {
    // Without its cause, which has the whole text, credentials included.
    throw new PerdureError(
      "CONNECTION_FAILED",
      `${JSON.stringify(redact(text))} is no address of a NATS server; one looks like nats://127.0.0.1:4222.`,
    );
  }
}

/** Whatever stands before the last @ may be a password, also where the rest is no URL. */
function redact(text: string): string {
  return text.replace(/^\s*([a-z]+:\/\/)?.*@/i, "$1***@");
}
