/** Where a camera's pictures come from: a folder of PNG files, or a scene that is drawn. */
import { mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { frameFault } from "./messages.js";
import { readPngFile, writePngFile } from "./png-file.js";
import type { Scene } from "./scene.js";

/** A picture that lies in a PNG file. */
export interface Picture {
  /** Absolute. */
  readonly path: string;
  readonly sha256: string;
  readonly width: number;
  readonly height: number;
}

export interface FrameSource {
  /**
   * Frame 1 is the first. The same number gives the same picture, however often and by whichever process it is asked for.
   * @throws TaskFailure as messages.ts lists them; the signal's reason when it aborts
   */
  capture(frame: number, signal: AbortSignal): Promise<Picture>;
}

/** The PNG files of a folder in the order of their names, digits by value: `9.png` comes before `10.png`. */
export async function pngFilesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory() && /\.png$/i.test(entry.name)).map(({ name }) => name);
  return names.sort(new Intl.Collator("en", { numeric: true }).compare).map((name) => resolve(folder, name));
}

/** The files are listed once: one that is added later does not change what frame 7 is. */
export function folderSource(folder: string): FrameSource {
  let files: readonly string[] | null = null;
  return {
    capture: async (frame, signal) => {
      files ??= await pngFilesIn(folder);
      const path = files[frame - 1];
      if (path === undefined) {
        throw frameFault("FRAME_NOT_FOUND", `${folder} has ${files.length} PNG files and no frame ${frame}`);
      }
      signal.throwIfAborted();
      const { image, sha256 } = await readPngFile(path);
      return { path, sha256, width: image.width, height: image.height };
    },
  };
}

/** Frames are drawn and written to `<folder>/frame-000007.png`. */
export function sceneSource(scene: Scene, folder: string): FrameSource {
  return {
    capture: async (frame, signal) => {
      await mkdir(folder, { recursive: true });
      signal.throwIfAborted();
      const path = resolve(join(folder, `frame-${String(frame).padStart(6, "0")}.png`));
      const image = scene.draw(frame);
      return { path, sha256: await writePngFile(path, image), width: image.width, height: image.height };
    },
  };
}
