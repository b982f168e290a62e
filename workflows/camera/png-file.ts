/** PNG files from and to pixels. Files come from users: whatever is wrong with one is a fault with a type. */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, rename, writeFile } from "node:fs/promises";
import { inflateSync } from "node:zlib";
import { PNG } from "pngjs";
import { frameFault } from "./messages.js";

export interface Image {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue, alpha: a byte each, row by row. */
  readonly pixels: Uint8Array;
}

export interface ImageFile {
  readonly image: Image;
  readonly sha256: string;
}

/** Decoding this many takes most of a second, in which the agent's process does nothing else, heartbeats included. */
export const pixelsMax = 16_000_000;
const fileBytesMax = 64 * 1024 * 1024;

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Signature, length and type of the first chunk, and what it says of the image. */
const headBytes = 33;

/** @throws TaskFailure FRAME_NOT_FOUND, FRAME_UNREADABLE, FRAME_TOO_LARGE */
export async function readPngFile(path: string): Promise<ImageFile> {
  const bytes = await readBounded(path);
  return { image: decodePng(bytes, path), sha256: sha256Of(bytes) };
}

/** Written beside its place and moved there, so that nobody ever reads half a file. */
export async function writePngFile(path: string, image: Image): Promise<string> {
  const png = new PNG({ width: image.width, height: image.height });
  png.data.set(image.pixels);
  // Noise does not compress; a higher level only costs time.
  const bytes = PNG.sync.write(png, { colorType: 2, deflateLevel: 1, filterType: 0 });
  const unfinished = `${path}.${process.pid}.part`;
  await writeFile(unfinished, bytes);
  await rename(unfinished, path);
  return sha256Of(bytes);
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function readBounded(path: string): Promise<Buffer> {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would never end.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw frameFault("FRAME_NOT_FOUND", `there is no file ${path}`, error);
    throw error;
  });
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw frameFault("FRAME_UNREADABLE", `${path} is not a file`);
    if (stat.size > fileBytesMax) {
      throw frameFault("FRAME_TOO_LARGE", `${path} has ${stat.size} bytes; at most ${fileBytesMax} are read`);
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function decodePng(bytes: Buffer, path: string): Image {
  if (bytes.length < headBytes || !bytes.subarray(0, signature.length).equals(signature)) {
    throw frameFault("FRAME_UNREADABLE", `${path} is not a PNG file`);
  }
  const width = bytes.readUInt32BE(16);
  const height = bytes.readUInt32BE(20);
  if (width * height === 0) throw frameFault("FRAME_UNREADABLE", `${path} has no pixels`);
  if (width * height > pixelsMax) {
    throw frameFault("FRAME_TOO_LARGE", `${path} has ${width} x ${height} pixels; at most ${pixelsMax} are decoded`);
  }
  try {
    assertImageDataWhole(bytes, width, height);
    return { width, height, pixels: PNG.sync.read(bytes).data };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw frameFault("FRAME_UNREADABLE", `${path} is damaged: ${why}`, error);
  }
}

/**
 * pngjs 7 takes damaged or missing image data for an image and fills it up with whatever its memory held, and inflates
 * interlaced data without a bound. So the data is inflated here first.
 */
function assertImageDataWhole(bytes: Buffer, width: number, height: number): void {
  const [bitDepth = 0, colorType = 0] = bytes.subarray(24, 26);
  const channels = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colorType] ?? 0;
  const expectedBytes = height * (Math.ceil((width * channels * bitDepth) / 8) + 1);
  const isInterlaced = bytes[28] !== 0;
  // Interlaced rows are more and shorter, each with a byte of its own.
  const boundBytes = isInterlaced ? 2 * expectedBytes + 64 : expectedBytes;
  const inflated = inflateSync(imageDataIn(bytes), { maxOutputLength: Math.max(1, boundBytes) });
  if (!isInterlaced && inflated.length !== expectedBytes) {
    throw new Error(`it has ${inflated.length} bytes of image data instead of ${expectedBytes}`);
  }
}

function imageDataIn(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = signature.length;
  while (at + 12 <= bytes.length) {
    const length = bytes.readUInt32BE(at);
    const end = at + 12 + length;
    if (bytes.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(bytes.subarray(at + 8, end - 4));
    at = end;
  }
  return Buffer.concat(parts);
}
