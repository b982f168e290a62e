/** Answers and refusals as bytes of HTTP. Whatever is refused, and wherever, has the same body. */
import { type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { PerdureError } from "../errors.js";
import type { ErrorCode } from "../protocol/error-code.js";
import { statusCodeOf } from "../protocol/status-code.js";
import type { Answer } from "./operation.js";

type Headers = Readonly<Record<string, string>>;

export function sendAnswer(response: ServerResponse, status: number, answer: Answer): void {
  switch (answer.kind) {
    case "json":
      sendText(response, status, JSON.stringify(answer.body), { ...json, ...answer.headers });
      break;
    case "text":
      sendText(response, status, answer.text, { "content-type": answer.contentType });
      break;
    case "stream":
      answer.write(response);
  }
}

export function sendRefusal(response: ServerResponse, fault: PerdureError): void {
  const status = statusCodeOf(fault.code);
  sendText(response, status, bodyOf(fault), { ...json, ...refusalHeaders(status, fault) });
}

/** To whoever sent what is no request, so that there is no response either; then hangs up. */
export function refuseOnSocket(socket: Duplex, fault: PerdureError): void {
  const status = statusCodeOf(fault.code);
  const body = bodyOf(fault);
  const headers = { ...json, "content-length": String(Buffer.byteLength(body)), connection: "close" };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
}

const json: Headers = { "content-type": "application/json" };

function sendText(response: ServerResponse, status: number, text: string, headers: Headers): void {
  response.writeHead(status, {
    ...headers,
    "content-length": Buffer.byteLength(text),
    // An answer is true for the moment only.
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}

/** As on the wire, without its envelope. */
function bodyOf({ code, message, details }: PerdureError): string {
  const error: { code: ErrorCode; message: string; details?: object } = { code, message };
  if (Object.keys(details).length > 0) error.details = details;
  return JSON.stringify({ error });
}

/** Long enough for a queue to shorten or a leader to be found, short enough not to be felt. */
const RETRY_AFTER_SECONDS = "1";

function refusalHeaders(status: number, { details }: PerdureError): Headers {
  switch (status) {
    case 401:
      return { "www-authenticate": 'Bearer realm="perdure"' };
    case 405:
      return { allow: String(details["allow"]) };
    case 429:
    case 503:
    case 504:
      return { "retry-after": RETRY_AFTER_SECONDS };
    default:
      return {};
  }
}
