/**
 * What a camera without a camera looks at: walls and boxes under a light that changes slowly, seen by a noisy sensor. From
 * one frame on there is something that was not there before. Everything follows from the seed and the frame's number.
 */
import type { Box } from "./messages.js";
import type { Image } from "./png-file.js";

export interface SceneOptions {
  /** A whole number. */
  readonly seed: number;
  /** The first frame with the object in it; null: it never comes. */
  readonly plantedAt: number | null;
  /** By how many of 255 levels the object is brighter, or darker, than what is behind it. Default 45. */
  readonly contrast?: number;
  /** Standard deviation of a pixel, in levels. Default 4: a phone indoors. */
  readonly noise?: number;
  /** Pixels. Default 640 x 480. */
  readonly width?: number;
  readonly height?: number;
}

export interface Scene {
  /** Where the object is, from its frame on. */
  readonly object: Box;
  draw(frame: number): Image;
}

/** Frames of one cycle of the light, and how much of it comes and goes: at most 1.3 % from one frame to the next. */
const lightCycleFrames = 40;
const lightSwing = 0.08;
/** Three bytes of chance together have this standard deviation, which makes them a fair sensor noise. */
const noiseOfThreeBytes = Math.sqrt((3 * (256 ** 2 - 1)) / 12);

export function newScene(options: SceneOptions): Scene {
  const { seed, plantedAt, contrast = 45, noise = 4, width = 640, height = 480 } = options;
  const random = mulberry32(seed);
  const between = (least: number, most: number): number => least + (random() % (most - least + 1));
  const boxOf = (sizeMin: number, sizeMax: number): Box => {
    const size = { width: between(sizeMin, sizeMax), height: between(sizeMin, sizeMax) };
    return { ...size, left: between(0, width - size.width), top: between(0, height - size.height) };
  };

  const background = new Float32Array(width * height);
  background.forEach((_, index) => {
    background[index] = 90 + (40 * (index % width)) / width;
  });
  const side = Math.min(width, height);
  for (let count = 0; count < 12; count += 1) {
    const level = between(50, 170);
    forEachPixel(boxOf(side >> 4, side >> 1), width, (index) => {
      background[index] = level;
    });
  }
  const object = boxOf(Math.max(24, side >> 4), Math.max(24, side >> 2));
  const behind = meanOf(background, object, width);
  const withObject = background.slice();
  forEachPixel(object, width, (index) => {
    withObject[index] = (background[index] ?? 0) + (behind < 110 ? contrast : -contrast);
  });

  return {
    object,
    draw: (frame) => {
      const levels = plantedAt !== null && frame >= plantedAt ? withObject : background;
      const light = 1 + lightSwing * Math.sin((2 * Math.PI * (frame + (seed % lightCycleFrames))) / lightCycleFrames);
      const chance = mulberry32(Math.imul(seed, 0x9e3779b1) ^ frame);
      const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
      levels.forEach((level, index) => {
        const bits = chance();
        const threeBytes = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255);
        const seen = level * light + (noise * (threeBytes - 382.5)) / noiseOfThreeBytes;
        pixels.fill(seen, 4 * index, 4 * index + 3);
      });
      return { width, height, pixels: new Uint8Array(pixels.buffer) };
    },
  };
}

function forEachPixel(box: Box, rowPixels: number, visit: (index: number) => void): void {
  for (let y = box.top; y < box.top + box.height; y += 1) {
    for (let x = box.left; x < box.left + box.width; x += 1) visit(y * rowPixels + x);
  }
}

function meanOf(levels: Float32Array, box: Box, rowPixels: number): number {
  let sum = 0;
  forEachPixel(box, rowPixels, (index) => {
    sum += levels[index] ?? 0;
  });
  return sum / (box.width * box.height);
}

/** Whole numbers of 32 bits by chance that follows from a seed. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
