/**
 * Finds what is different between two frames and no noise, and no change of light: the mean brightness of blocks of pixels
 * is compared, what all blocks have in common is taken for light, and what the typical block shows is taken for noise.
 */
import type { Box, Change } from "./messages.js";
import type { Image } from "./png-file.js";

/** Pixels. The mean of 64 has an eighth of a pixel's noise; a change's box is exact to within one block. */
export const blockSide = 8;
/** Levels of 255. Less is not called a change, however still the picture: sensors have steps, and lamps flicker. */
const differenceMin = 8;
/** Of the noise's standard deviation. Chance alone reaches six in two of a billion blocks. */
const noiseFactor = 6;
/** A single block is dirt, or an insect. */
const blocksMin = 2;
/** Levels. The light is measured where there is some. */
const litLevel = 16;

interface BlockGrid {
  readonly columns: number;
  readonly rows: number;
  /** Mean luminance of each block, row by row. */
  readonly levels: Float64Array;
}

/** Both have the same size. Null where nothing changed. */
export function findChange(before: Image, after: Image): Change | null {
  const [old, now] = [blocksOf(before), blocksOf(after)];
  const oldLevel = (index: number): number => old.levels[index] ?? 0;
  const lit = now.levels.map((level, index) => (oldLevel(index) >= litLevel ? level / oldLevel(index) : Number.NaN));
  const light = median(lit.filter((ratio) => !Number.isNaN(ratio))) ?? 1;
  const differences = now.levels.map((level, index) => Math.abs(level - light * oldLevel(index)));
  // Of a normal distribution, half lies within 0.6745 standard deviations.
  const noise = (median(differences) ?? 0) / 0.6745;
  const limit = Math.max(differenceMin, noiseFactor * noise);

  const region = largestRegion(now, (index) => (differences[index] ?? 0) > limit);
  if (region.length < blocksMin) return null;
  const mean = region.reduce((sum, index) => sum + (differences[index] ?? 0), 0) / region.length;
  return { box: boxAround(region, now.columns, after), score: Math.round((100 * mean) / limit) / 100 };
}

function blocksOf({ width, height, pixels }: Image): BlockGrid {
  const columns = Math.ceil(width / blockSide);
  const rows = Math.ceil(height / blockSide);
  const levels = new Float64Array(columns * rows);
  for (let y = 0; y < height; y += 1) {
    const row = Math.floor(y / blockSide) * columns;
    for (let x = 0; x < width; x += 1) {
      const at = 4 * (y * width + x);
      // Luminance as ITU-R BT.601 weighs the colours.
      const level = 0.299 * (pixels[at] ?? 0) + 0.587 * (pixels[at + 1] ?? 0) + 0.114 * (pixels[at + 2] ?? 0);
      const block = row + Math.floor(x / blockSide);
      levels[block] = (levels[block] ?? 0) + level;
    }
  }
  levels.forEach((sum, block) => {
    // Blocks at the right and lower edge may be smaller.
    const blockWidth = Math.min(blockSide, width - blockSide * (block % columns));
    const blockHeight = Math.min(blockSide, height - blockSide * Math.floor(block / columns));
    levels[block] = sum / (blockWidth * blockHeight);
  });
  return { columns, rows, levels };
}

function median(values: Float64Array): number | undefined {
  return values.toSorted()[values.length >> 1];
}

/** Blocks that are `marked` and touch each other, side to side: the most there are together. */
function largestRegion({ columns, rows }: BlockGrid, isMarked: (index: number) => boolean): readonly number[] {
  const seen = new Set<number>();
  let largest: readonly number[] = [];
  for (let start = 0; start < columns * rows; start += 1) {
    if (!isMarked(start) || seen.has(start)) continue;
    const region = [start];
    seen.add(start);
    for (const index of region) {
      for (const neighbour of neighboursOf(index, columns, rows)) {
        if (!isMarked(neighbour) || seen.has(neighbour)) continue;
        seen.add(neighbour);
        region.push(neighbour);
      }
    }
    if (region.length > largest.length) largest = region;
  }
  return largest;
}

function neighboursOf(index: number, columns: number, rows: number): readonly number[] {
  const column = index % columns;
  return [
    ...(column > 0 ? [index - 1] : []),
    ...(column < columns - 1 ? [index + 1] : []),
    ...(index >= columns ? [index - columns] : []),
    ...(index < columns * (rows - 1) ? [index + columns] : []),
  ];
}

function boxAround(region: readonly number[], columns: number, { width, height }: Image): Box {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (const index of region) {
    const x = blockSide * (index % columns);
    const y = blockSide * Math.floor(index / columns);
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, Math.min(width, x + blockSide));
    bottom = Math.max(bottom, Math.min(height, y + blockSide));
  }
  return { left, top, width: right - left, height: bottom - top };
}
