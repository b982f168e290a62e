import fc from "fast-check";
import { expect, it } from "vitest";
import { blockSide, findChange } from "../../../workflows/camera/find-change.js";
import type { Box } from "../../../workflows/camera/messages.js";
import { newScene } from "../../../workflows/camera/scene.js";
import { imageOf } from "./given-image.js";

const size = { width: 160, height: 120 };
const anySeed = fc.integer({ min: 0, max: 1_000_000 });
const anyFrame = fc.integer({ min: 2, max: 200 });
/** Levels, up to what a cheap camera sees at night. */
const anyNoise = fc.integer({ min: 0, max: 25 });

it("calls noise and the slow change of light no change", () => {
  fc.assert(
    fc.property(anySeed, anyFrame, anyNoise, (seed, frame, noise) => {
      const { draw } = newScene({ ...size, seed, noise, plantedAt: null });
      expect(findChange(draw(frame - 1), draw(frame))).toBeNull();
    }),
    { numRuns: 150 },
  );
});

it("finds what came, and its place to within a block", () => {
  const anyContrast = fc.integer({ min: 24, max: 80 });
  fc.assert(
    fc.property(anySeed, anyFrame, fc.integer({ min: 0, max: 6 }), anyContrast, (seed, frame, noise, contrast) => {
      const { draw, object } = newScene({ ...size, seed, noise, contrast, plantedAt: frame });
      const change = findChange(draw(frame - 1), draw(frame));
      expect(change?.score).toBeGreaterThan(1);
      for (const [found, planted] of pairs(edgesOf(change?.box), edgesOf(object))) {
        expect(Math.abs(found - planted)).toBeLessThan(blockSide);
      }
    }),
    { numRuns: 150 },
  );
});

it("finds what left as it finds what came, and nothing while it stays", () => {
  const { draw } = newScene({ ...size, seed: 7, plantedAt: 10 });

  expect(findChange(draw(10), draw(11))).toBeNull();
  expect(findChange(draw(11), draw(9))?.box).toEqual(findChange(draw(9), draw(10))?.box);
});

it.each([
  ["two pictures of nothing", imageOf(64, 64, () => 0), imageOf(64, 64, () => 0)],
  ["a lamp that is switched on", imageOf(64, 64, (x) => 40 + x), imageOf(64, 64, (x) => 2 * (40 + x))],
  ["a single pixel", imageOf(1, 1, () => 0), imageOf(1, 1, () => 255)],
  ["an insect", imageOf(64, 64, () => 90), imageOf(64, 64, (x, y) => (x < 8 && y < 8 ? 0 : 90))],
  [
    "dead pixels all over",
    imageOf(64, 64, () => 90),
    imageOf(64, 64, (x, y) => (x % 16 === 3 && y % 16 === 3 ? 255 : 90)),
  ],
])("calls %s no change", (_, before, after) => {
  expect(findChange(before, after)).toBeNull();
});

it("finds what came while a lamp was switched on", () => {
  const before = imageOf(64, 64, (x) => 40 + x);
  const after = imageOf(64, 64, (x, y) => 2 * (40 + x) + (x < 16 && y < 16 ? 60 : 0));

  expect(findChange(before, after)?.box).toEqual({ left: 0, top: 0, width: 16, height: 16 });
});

it("finds the larger of two changes, up to the edge of a picture that is no multiple of its blocks", () => {
  const before = imageOf(61, 45, () => 100);
  const after = imageOf(61, 45, (x, y) => ((x >= 48 && y >= 32) || (x < 16 && y < 8) ? 150 : 100));

  expect(findChange(before, after)).toEqual({ box: { left: 48, top: 32, width: 13, height: 13 }, score: 6.25 });
});

it("weighs colours as the eye does", () => {
  const black = imageOf(64, 64, () => 100);
  const tinted = (channel: number) => {
    const image = imageOf(64, 64, () => 100);
    for (let x = 0; x < 32; x += 1) for (let y = 0; y < 16; y += 1) image.pixels[4 * (64 * y + x) + channel] = 160;
    return findChange(black, image)?.score ?? 0;
  };

  const [red, green, blue] = [0, 1, 2].map(tinted);
  expect([green, red, blue]).toEqual([4.4, 2.24, 0]);
});

function edgesOf(box: Box | undefined): readonly number[] {
  if (box === undefined) return [Number.NaN, Number.NaN, Number.NaN, Number.NaN];
  return [box.left, box.top, box.left + box.width, box.top + box.height];
}

function pairs(some: readonly number[], others: readonly number[]): readonly (readonly [number, number])[] {
  return some.map((value, index) => [value, others[index] ?? Number.NaN]);
}
