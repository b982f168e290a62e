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
}

const DEFAULT_PORT = "4222";
const SCHEME = /^[a-z]+:\/\//i;

/**
 * Takes what people put into NATS_URL apart: the client library ignores the credentials of a URL.
 * @throws PerdureError CONNECTION_FAILED if it is no address of a NATS server.
 */
export function parseServerUrl(text: string): ServerAddress {
  let url: URL;
  try {
    url = new URL(`nats://${text.trim().replace(SCHEME, "")}`);
  } catch (cause) {
    throw new PerdureError(
      "CONNECTION_FAILED",
      `${JSON.stringify(redact(text))} is no address of a NATS server; one looks like nats://127.0.0.1:4222.`,
      { cause },
    );
  }
  const host = `${url.hostname}:${url.port === "" ? DEFAULT_PORT : url.port}`;
  const shown = `nats://${host}`;
  if (url.username === "") return { host, shown };
  const name = decodeURIComponent(url.username);
  if (url.password === "") return { host, shown, token: name };
  return { host, shown, user: name, password: decodeURIComponent(url.password) };
}

function redact(text: string): string {
  return text.replace(/\/\/[^@/]*@/, "//***@");
}
