import { execFile } from "node:child_process";
import { open, readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import { expect, it } from "vitest";
import { pixelsMax, readPngFile, writePngFile } from "../../../workflows/camera/png-file.js";
import { imageOf, pngOf, temporaryFolder } from "./given-image.js";

it("reads back the pixels it wrote, and the file's hash", async () => {
  const folder = await temporaryFolder();
  const anySize = fc.integer({ min: 1, max: 40 });
  await fc.assert(
    fc.asyncProperty(anySize, anySize, fc.infiniteStream(fc.nat(255)), async (width, height, levels) => {
      const image = imageOf(width, height, () => 0);
      // The fourth byte is alpha, which is not written.
      image.pixels.forEach((_, index) => {
        if (index % 4 !== 3) image.pixels[index] = levels.next().value;
      });
      const path = join(folder, "frame.png");

      const sha256 = await writePngFile(path, image);

      const read = await readPngFile(path);
      expect(read.sha256).toBe(sha256);
      expect({ ...read.image, pixels: [...read.image.pixels] }).toEqual({ ...image, pixels: [...image.pixels] });
    }),
    { numRuns: 50 },
  );
  expect(await readdir(folder)).toEqual(["frame.png"]);
});

it.each([
  ["grey", { colorType: 0, data: new Uint8Array([0, 7]) }, [7, 7, 7, 255]],
  ["grey of 16 bits", { colorType: 0, bitDepth: 16, data: new Uint8Array([0, 7, 7]) }, [7, 7, 7, 255]],
  ["one bit", { colorType: 0, bitDepth: 1, data: new Uint8Array([0, 0x80]) }, [255, 255, 255, 255]],
  ["with alpha", { colorType: 6, data: new Uint8Array([0, 1, 2, 3, 4]) }, [1, 2, 3, 4]],
  ["interlaced", { colorType: 2, interlace: 1, data: new Uint8Array([0, 1, 2, 3]) }, [1, 2, 3, 255]],
])("reads a file that is %s", async (_, parts, pixel) => {
  const path = join(await temporaryFolder(), "frame.png");
  await writeFile(path, pngOf({ width: 1, height: 1, ...parts }));

  const { image } = await readPngFile(path);

  expect([...image.pixels]).toEqual(pixel);
});

const rows = Buffer.alloc(64 * 65, 9).map((byte, index) => (index % 65 === 0 ? 0 : byte));

it.each([
  ["is empty", Buffer.alloc(0), "FRAME_UNREADABLE"],
  ["is a text", Buffer.from("a picture of a cat, ".repeat(20)), "FRAME_UNREADABLE"],
  ["has no width", pngOf({ width: 0, height: 4 }), "FRAME_UNREADABLE"],
  ["claims to be huge", pngOf({ width: pixelsMax, height: 2, data: rows }), "FRAME_TOO_LARGE"],
  [
    "claims more than a number holds",
    pngOf({ width: 0xffff_ffff, height: 0xffff_ffff, data: rows }),
    "FRAME_TOO_LARGE",
  ],
  ["has less data than pixels", pngOf({ width: 64, height: 64, data: rows.subarray(0, -30) }), "FRAME_UNREADABLE"],
  ["has more data than pixels", pngOf({ width: 64, height: 32, data: rows }), "FRAME_UNREADABLE"],
  [
    "has data that breaks off",
    // Uncompressed, the last bytes are those of the last row, and four of a checksum.
    pngOf({ width: 64, height: 64, compressed: deflateSync(rows, { level: 0 }).subarray(0, -34) }),
    "FRAME_UNREADABLE",
  ],
  ["has data that is none", pngOf({ width: 64, height: 64, compressed: rows }), "FRAME_UNREADABLE"],
  ["has a colour type that is none", pngOf({ width: 64, height: 64, colorType: 9, data: rows }), "FRAME_UNREADABLE"],
  [
    "grows without end",
    pngOf({ width: 9, height: 9, interlace: 1, data: Buffer.alloc(50_000_000) }),
    "FRAME_UNREADABLE",
  ],
])("refuses a file that %s", async (_, bytes, type) => {
  const path = join(await temporaryFolder(), "frame.png");
  await writeFile(path, bytes);

  await expect(readPngFile(path)).rejects.toMatchObject({ type, nonRetryable: true });
});

it("refuses what is not there, or no file, or larger than anybody's picture", async () => {
  const folder = await temporaryFolder();
  const [pipe, large] = [join(folder, "pipe.png"), join(folder, "large.png")];
  await promisify(execFile)("mkfifo", [pipe]);
  await (await open(large, "w")).close();
  await truncate(large, 1024 ** 3);

  await expect(readPngFile(join(folder, "none.png"))).rejects.toMatchObject({ type: "FRAME_NOT_FOUND" });
  await expect(readPngFile(folder)).rejects.toMatchObject({ type: "FRAME_UNREADABLE" });
  await expect(readPngFile(pipe)).rejects.toMatchObject({ type: "FRAME_UNREADABLE" });
  await expect(readPngFile(large)).rejects.toMatchObject({ type: "FRAME_TOO_LARGE" });
});

it("reads a damaged file as it was or not at all", async () => {
  const path = join(await temporaryFolder(), "frame.png");
  const data = rows.map((byte, index) => (index % 65 === 0 ? 0 : byte + index));
  const bytes = pngOf({ width: 64, height: 64, data });
  await writeFile(path, bytes);
  const { image } = await readPngFile(path);

  const anyDamage = fc.record({
    at: fc.nat(bytes.length - 1),
    bits: fc.integer({ min: 1, max: 255 }),
    length: fc.oneof(fc.constant(bytes.length), fc.nat(bytes.length)),
  });
  await fc.assert(
    fc.asyncProperty(anyDamage, async ({ at, bits, length }) => {
      const damaged = Buffer.from(bytes.subarray(0, length)).map((byte, index) => (index === at ? byte ^ bits : byte));
      await writeFile(path, damaged);
      const read = await readPngFile(path).catch((fault: unknown) => fault);
      if (read instanceof Error) expect(read).toMatchObject({ nonRetryable: true });
      else expect(read).toMatchObject({ image });
    }),
    { numRuns: 500 },
  );
});
