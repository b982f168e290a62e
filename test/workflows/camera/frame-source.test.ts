import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import { folderSource, pngFilesIn, sceneSource } from "../../../workflows/camera/frame-source.js";
import { readPngFile, writePngFile } from "../../../workflows/camera/png-file.js";
import { newScene } from "../../../workflows/camera/scene.js";
import { imageOf, temporaryFolder } from "./given-image.js";

const { signal } = new AbortController();
const small = { width: 64, height: 48 };

async function folderWith(...names: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const [index, name] of names.entries())
    await writePngFile(
      join(folder, name),
      imageOf(index + 1, 1, () => 9),
    );
  return folder;
}

it("takes the PNG files of a folder in the order of their numbers", async () => {
  const folder = await folderWith("shot 10.png", "shot 9.PNG", "shot 2.png");
  await writeFile(join(folder, "notes.txt"), "not a picture");
  await mkdir(join(folder, "more.png"));
  await symlink(join(folder, "shot 2.png"), join(folder, "shot 11.png"));

  expect((await pngFilesIn(folder)).map((path) => basename(path))).toEqual([
    "shot 2.png",
    "shot 9.PNG",
    "shot 10.png",
    "shot 11.png",
  ]);
});

it("gives a folder's pictures with their sizes and hashes, and says where it ends", async () => {
  const folder = await folderWith("a.png", "b.png");
  const source = folderSource(folder);

  expect(await source.capture(2, signal)).toMatchObject({ path: join(folder, "b.png"), width: 2, height: 1 });
  await expect(source.capture(3, signal)).rejects.toMatchObject({ type: "FRAME_NOT_FOUND", nonRetryable: true });
});

it("keeps a folder's frames in their places when a file is added", async () => {
  const folder = await folderWith("b.png", "c.png");
  const source = folderSource(folder);
  await source.capture(1, signal);

  await rename(join(await folderWith("a.png"), "a.png"), join(folder, "a.png"));

  expect(await source.capture(1, signal)).toMatchObject({ path: join(folder, "b.png") });
});

it("can look at a folder again that was away at first", async () => {
  const folder = join(await temporaryFolder(), "mounted later");
  const source = folderSource(folder);
  await expect(source.capture(1, signal)).rejects.toMatchObject({ code: "ENOENT" });

  await mkdir(folder);
  await writePngFile(
    join(folder, "a.png"),
    imageOf(1, 1, () => 9),
  );

  expect(await source.capture(1, signal)).toMatchObject({ path: join(folder, "a.png") });
});

it("draws the same frame again in any process, and another one from another seed", async () => {
  const hashes: string[] = [];
  for (const seed of [7, 7, 8]) {
    const source = sceneSource(newScene({ ...small, seed, plantedAt: 3 }), join(await temporaryFolder(), "made"));
    hashes.push((await source.capture(5, signal)).sha256);
  }

  expect(hashes[0]).toBe(hashes[1]);
  expect(hashes[0]).not.toBe(hashes[2]);
});

it("draws into files that hold what they are said to hold", async () => {
  const scene = newScene({ ...small, seed: 7, plantedAt: null });
  const picture = await sceneSource(scene, await temporaryFolder()).capture(1, signal);

  const { image, sha256 } = await readPngFile(picture.path);

  expect(picture).toMatchObject({ sha256, ...small });
  expect(Buffer.from(image.pixels).equals(scene.draw(1).pixels)).toBe(true);
});

it("captures nothing for somebody who has gone", async () => {
  const folder = await folderWith("a.png");
  const gone = AbortSignal.abort(new Error("nobody wants it any more"));

  const scene = sceneSource(newScene({ ...small, seed: 7, plantedAt: null }), folder);

  await expect(folderSource(folder).capture(1, gone)).rejects.toBe(gone.reason);
  await expect(scene.capture(1, gone)).rejects.toBe(gone.reason);
});
