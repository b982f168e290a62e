/**
 * One HTTP GET into a file, hashed on the way. The time limit is on silence, not on the whole: a slow line may take its
 * minutes, while a connection that is refused or hangs, at any point, is given up after `silenceMs`.
 */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";

export type DownloadResult =
  | { readonly outcome: "stored"; readonly sha256: string }
  | { readonly outcome: "unreachable"; readonly reason: string };

export interface DownloadOptions {
  readonly silenceMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A release archive has about 7 MB. A body without end must not fill the disk. */
const bodyBytesMax = 100 * 1024 * 1024;

/** Rejects only with the abort reason of `options.signal`. */
export async function downloadFile(url: string, target: string, options: DownloadOptions): Promise<DownloadResult> {
  const { silenceMs, signal } = options;
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error(`silent for ${silenceMs} ms`)), silenceMs);
  try {
    const abort = signal === undefined ? silence.signal : AbortSignal.any([silence.signal, signal]);
    const response = await fetch(url, { signal: abort });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      return { outcome: "unreachable", reason: `${url} answered ${response.status}` };
    }
    const hash = createHash("sha256");
    let bodyBytes = 0;
    const observe = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        timer.refresh();
        bodyBytes += chunk.byteLength;
        if (bodyBytes > bodyBytesMax) {
          throw new Error(`more than ${bodyBytesMax} bytes`);
        }
        hash.update(chunk);
        yield chunk;
      }
    };
    await pipeline(response.body, observe, createWriteStream(target, { mode: 0o600 }), { signal: abort });
    return { outcome: "stored", sha256: hash.digest("hex") };
  } catch (error) {
    signal?.throwIfAborted();
    const cause = silence.signal.aborted ? silence.signal.reason : error;
    return { outcome: "unreachable", reason: `${url}: ${deepestMessage(cause)}` };
  } finally {
    clearTimeout(timer);
  }
}

/** `fetch` reports only "fetch failed"; which connection was refused is in the causes below it. */
function deepestMessage(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  if (error.cause instanceof Error) {
    return deepestMessage(error.cause);
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return error.message || code || error.name;
}
