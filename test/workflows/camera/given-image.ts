/** Pictures and PNG files as tests need them, the files also such as no encoder would write. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { onTestFinished } from "vitest";
import type { Image } from "../../../workflows/camera/png-file.js";

/** Removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "perdure-camera-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Grey, at the level that is said for each pixel. */
export function imageOf(width: number, height: number, levelAt: (x: number, y: number) => number): Image {
  const pixels = new Uint8Array(4 * width * height).fill(255);
  for (let index = 0; index < width * height; index += 1) {
    const level = levelAt(index % width, Math.floor(index / width));
    pixels.fill(Math.min(255, Math.max(0, level)), 4 * index, 4 * index + 3);
  }
  return { width, height, pixels };
}

export interface PngParts {
  readonly width: number;
  readonly height: number;
  /** PNG's number: 0 grey, 2 colours, 6 colours and alpha. Default 0. */
  readonly colorType?: number;
  readonly bitDepth?: number;
  readonly interlace?: number;
  /** Before it is compressed: each row behind the number of its filter. */
  readonly data?: Uint8Array;
  readonly compressed?: Uint8Array;
}

/** A file whose checksums are right, whatever is in it. */
export function pngOf({
  width,
  height,
  colorType = 0,
  bitDepth = 8,
  interlace = 0,
  data,
  compressed,
}: PngParts): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, colorType, 0, 0, interlace], 8);
  const imageData = compressed ?? deflateSync(data ?? Buffer.alloc(height * (width + 1)));
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", imageData), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(data.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), framed.length - 4);
  return framed;
}
