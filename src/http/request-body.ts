import type { IncomingMessage } from "node:http";
import { z } from "zod";
import { PerdureError } from "../errors.js";
import { decodeRequest } from "../protocol/decode.js";

/** What NATS takes in one message unless set otherwise; a larger submission could not be passed on. */
const BODY_BYTES_MAX = 1024 * 1024;

/**
 * The JSON value of a request's body; undefined where there is none.
 * @throws PerdureError HTTP_CONTENT_TYPE_REFUSED, PAYLOAD_TOO_LARGE, INVALID_MESSAGE for what is not JSON or too deep
 */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const { headers } = request;
  const declaredBytes = Number(headers["content-length"] ?? 0);
  if (declaredBytes === 0 && headers["transfer-encoding"] === undefined) return undefined;
  checkContentType(request);
  if (declaredBytes > BODY_BYTES_MAX) throw tooLarge(declaredBytes);
  const decoded = decodeRequest(z.unknown(), await readBytes(request));
  if (decoded.ok) return decoded.value;
  throw new PerdureError("INVALID_MESSAGE", `the body ${decoded.failure.message}; nothing was done`);
}

function checkContentType({ headers }: IncomingMessage): void {
  const given = headers["content-type"] ?? "none";
  const [mediaType = ""] = given.split(";");
  const encoding = headers["content-encoding"] ?? "identity";
  if (mediaType.trim().toLowerCase() === "application/json" && encoding === "identity") return;
  const what = encoding === "identity" ? `content type is ${given}` : `content encoding is ${encoding}`;
  throw new PerdureError(
    "HTTP_CONTENT_TYPE_REFUSED",
    `the body's ${what}, and only application/json, not encoded, is read; nothing was done`,
  );
}

/** Not by iteration: leaving such a loop early would close the socket, and with it the way for the refusal. */
function readBytes(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES_MAX) {
        chunks.push(chunk);
        return;
      }
      // What still comes is thrown away, until the request's time is over.
      request.off("data", onData).resume();
      reject(tooLarge(bytes));
    };
    request.on("data", onData);
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", reject);
  });
}

function tooLarge(bytes: number): PerdureError {
  return new PerdureError(
    "PAYLOAD_TOO_LARGE",
    `the body has ${bytes} bytes or more and may have ${BODY_BYTES_MAX}; nothing was done. Submit fewer tasks at once, or smaller inputs.`,
    { details: { bytes, bytesMax: BODY_BYTES_MAX } },
  );
}
