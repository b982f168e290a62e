/**
 * Who may ask. With a token: whoever has it. Without one the server listens on loopback only, and what has to be kept
 * out are web pages that the browser on this machine has open: one whose name was made to mean 127.0.0.1 (DNS
 * rebinding) sends that name as Host, and one that posts here sends its Origin. There are no CORS headers, so a page
 * reads nothing.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { PerdureError } from "../errors.js";
import type { Operation } from "./operation.js";

export interface Exposure {
  readonly host: string;
  readonly token?: string | undefined;
  /** "allowed": other machines may ask without a token. */
  readonly unguarded?: "refused" | "allowed" | undefined;
}

/** @throws PerdureError the reason why a request may not be looked at */
export type Guard = (
  request: { readonly method: string; readonly headers: IncomingHttpHeaders },
  access: Operation["access"],
) => void;

/** @throws PerdureError USAGE where other machines could ask and nothing would keep them out */
export function guardFor({ host, token, unguarded = "refused" }: Exposure): Guard {
  if (token !== undefined) {
    // What cannot stand in a header, or is not there at all, would keep everybody out or nobody.
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new PerdureError(
        "USAGE",
        "the HTTP token must be visible ASCII characters, one at least; nothing was started",
      );
    }
    return tokenGuard(token);
  }
  if (isLoopback(host)) {
    return ({ method, headers }) => {
      checkHost(headers);
      checkOrigin(method, headers);
    };
  }
  if (unguarded === "refused") {
    throw new PerdureError(
      "USAGE",
      `cannot serve HTTP on ${host} without a token: whoever reaches that address could submit and cancel tasks. Nothing was started. Give a token, listen on 127.0.0.1, or say --insecure.`,
      { details: { host } },
    );
  }
  return ({ method, headers }) => checkOrigin(method, headers);
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function tokenGuard(token: string): Guard {
  const expected = digest(token);
  return ({ headers }, access) => {
    if (access === "open") return;
    const given = /^bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
    // Digests have one length, so that comparing takes the same time however much of the token is right.
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return;
    throw new PerdureError(
      "UNAUTHENTICATED",
      `${given === undefined ? "no token was given" : "the token is not the one of this server"}; nothing was done. Send \`Authorization: Bearer <token>\`.`,
    );
  };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

function checkHost({ host = "" }: IncomingHttpHeaders): void {
  const name = host.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1");
  if (isLoopback(name.toLowerCase())) return;
  throw new PerdureError(
    "HTTP_HOST_REFUSED",
    `the request is for the host ${JSON.stringify(host)}, and without a token this server answers to localhost and loopback addresses only; nothing was done. Behind a proxy, run it with a token.`,
    { details: { host } },
  );
}

function checkOrigin(method: string, { origin, host }: IncomingHttpHeaders): void {
  if (origin === undefined || method === "GET" || method === "HEAD") return;
  if (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)) return;
  throw new PerdureError(
    "HTTP_ORIGIN_REFUSED",
    `the request comes from a web page of ${JSON.stringify(origin)}, which may not change anything here; nothing was done. Ask from a program, or run this with a token.`,
    { details: { origin } },
  );
}
