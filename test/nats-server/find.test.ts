import { delimiter, join, relative } from "node:path";
import { expect } from "vitest";
import { findNatsServer } from "../../src/nats-server/find.js";
import { pinnedVersion } from "../../src/nats-server/official-release.js";
import { writeFakeServer, writeProgram } from "./fake-server.js";
import { folderTest } from "./folder-test.js";

const offline = { download: "never" } as const;

folderTest("takes the first recent server on PATH", async ({ folder }) => {
  await writeFakeServer(join(folder, "old", "nats-server"), "2.9.10");
  const path = await writeFakeServer(join(folder, "new", "nats-server"), "2.12.3");
  const searchPath = ["old", "new"].map((name) => join(folder, name)).join(delimiter);

  const found = await findNatsServer({ ...offline, searchPath, cacheDir: join(folder, "cache") });

  expect(found).toEqual({ path, version: "2.12.3", source: "path" });
});

folderTest("never runs what a relative PATH entry leads to", async ({ folder }) => {
  await writeFakeServer(join(folder, "nats-server"), "2.12.3");
  const searchPath = relative(process.cwd(), folder);

  const finding = findNatsServer({ ...offline, searchPath, cacheDir: join(folder, "cache") });

  await expect(finding).rejects.toMatchObject({ code: "NATS_SERVER_NOT_FOUND" });
});

folderTest("prefers the pinned version in the cache to a newer one", async ({ folder }) => {
  await writeFakeServer(join(folder, "2.99.0", "nats-server"), "2.99.0");
  const path = await writeFakeServer(join(folder, pinnedVersion, "nats-server"), pinnedVersion);

  const found = await findNatsServer({ ...offline, searchPath: "", cacheDir: folder });

  expect(found).toEqual({ path, version: pinnedVersion, source: "cache" });
});

folderTest("passes over a cached server that does not run", async ({ folder }) => {
  await writeProgram(join(folder, pinnedVersion, "nats-server"), "");
  await writeProgram(join(folder, "2.20.0", "nats-server"), "#!/bin/sh\nexit 127\n");
  const path = await writeFakeServer(join(folder, "2.16.0", "nats-server"), "2.16.0");

  const found = await findNatsServer({ ...offline, searchPath: "", cacheDir: folder });

  expect(found).toEqual({ path, version: "2.16.0", source: "cache" });
});

folderTest("says that there is none when downloads are off", async ({ folder }) => {
  const finding = findNatsServer({ ...offline, searchPath: folder, cacheDir: folder });

  await expect(finding).rejects.toMatchObject({
    code: "NATS_SERVER_NOT_FOUND",
    message: expect.stringContaining(folder),
  });
});

folderTest("names the old server it passed over when there is no other", async ({ folder }) => {
  const path = await writeFakeServer(join(folder, "bin", "nats-server"), "2.9.10");

  const finding = findNatsServer({ ...offline, searchPath: join(folder, "bin"), cacheDir: folder });

  await expect(finding).rejects.toMatchObject({
    code: "NATS_SERVER_TOO_OLD",
    message: expect.stringContaining(`${path} is 2.9.10`),
  });
});

folderTest("takes the given binary and looks nowhere else", async ({ folder }) => {
  await writeFakeServer(join(folder, "bin", "nats-server"), "2.99.0");
  const binary = await writeFakeServer(join(folder, "mine"), "2.12.0");

  const found = await findNatsServer({ ...offline, binary, searchPath: join(folder, "bin") });

  expect(found).toEqual({ path: binary, version: "2.12.0", source: "given" });
});

folderTest("refuses a given binary that is too old, with its version, path and the minimum", async ({ folder }) => {
  const binary = await writeFakeServer(join(folder, "nats-server"), "2.11.9");

  await expect(findNatsServer({ binary })).rejects.toMatchObject({
    code: "NATS_SERVER_TOO_OLD",
    message: expect.stringMatching(new RegExp(`2\\.11\\.9 at ${binary} is older than 2\\.12\\.0`)),
    details: { path: binary, version: "2.11.9", minimumVersion: "2.12.0" },
  });
});

folderTest("refuses a given binary that is missing", async ({ folder }) => {
  const binary = join(folder, "missing");

  await expect(findNatsServer({ binary })).rejects.toMatchObject({
    code: "NATS_SERVER_NOT_FOUND",
    message: expect.stringContaining(binary),
  });
});

folderTest("refuses a given binary that is another program", async ({ folder }) => {
  const binary = await writeProgram(join(folder, "other"), "#!/bin/sh\necho other 3.0.0\n");

  await expect(findNatsServer({ binary })).rejects.toMatchObject({
    code: "NATS_SERVER_NOT_FOUND",
    message: expect.stringContaining("other 3.0.0"),
  });
});

folderTest("refuses a given binary that hangs, without waiting for its end", async ({ folder }) => {
  const binary = await writeProgram(join(folder, "hanging"), "#!/bin/sh\nexec sleep 60\n");
  const startedAt = performance.now();

  await expect(findNatsServer({ binary })).rejects.toMatchObject({ code: "NATS_SERVER_NOT_FOUND" });
  expect(performance.now() - startedAt).toBeLessThan(20_000);
});

folderTest("looks nowhere once its signal is aborted", async ({ folder }) => {
  const binary = await writeFakeServer(join(folder, "nats-server"), "2.12.0");
  const reason = new Error("the caller gave up");

  await expect(findNatsServer({ binary, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
