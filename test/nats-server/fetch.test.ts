/** Fetching over real HTTP from servers of the test's own: the official release first, then a Debian mirror. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { expect } from "vitest";
import { debianSource } from "../../src/nats-server/debian-package.js";
import { type DownloadSources, defaultDownloadSources, findNatsServer } from "../../src/nats-server/find.js";
import {
  officialRelease,
  pinnedVersion,
  type ReleaseSource,
  releaseArchiveName,
} from "../../src/nats-server/official-release.js";
import { writeFakeServer } from "./fake-server.js";
import { refusingUrl, serveFolder } from "./file-server.js";
import { folderTest } from "./folder-test.js";

const archiveName = releaseArchiveName(process.platform, process.arch) ?? "";

/** For connections that are meant to hang. */
const shortSilenceMs = 300;
/** For those that are not: a loaded machine's pauses are no silence. The real one is asserted below. */
const silenceMs = 20_000;

const hang = (): void => undefined;
const hangHalfway = (response: ServerResponse): void => {
  response.writeHead(200, { "content-length": "1000" });
  response.write("some bytes");
};
const refuse = (response: ServerResponse): void => {
  response.writeHead(503).end();
};

/** A release folder as GitHub has it; returns the archive's SHA-256. */
async function writeRelease(folder: string, version: string = pinnedVersion): Promise<string> {
  const name = archiveName.replace(/\.tar\.gz$/, "");
  await writeFakeServer(join(folder, "content", name, "nats-server"), version);
  execFileSync("tar", ["-czf", join(folder, archiveName), "-C", join(folder, "content"), name]);
  const sha256 = createHash("sha256").update(await readFile(join(folder, archiveName)));
  return sha256.digest("hex");
}

/** A Debian mirror with the package in `suite` alone, unsigned as a local mirror may be. */
async function writeMirror(folder: string, suite: string, version: string): Promise<void> {
  const architecture = execFileSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).trim();
  const content = join(folder, "content");
  const control =
    `Package: nats-server\nVersion: ${version}-1\nArchitecture: ${architecture}\n` +
    "Maintainer: Nobody <nobody@example.org>\nDescription: a stand-in\n";
  await writeFakeServer(join(content, "usr", "sbin", "nats-server"), version);
  await mkdir(join(content, "DEBIAN"), { recursive: true });
  await writeFile(join(content, "DEBIAN", "control"), control);
  const file = `nats-server_${version}-1_${architecture}.deb`;
  execFileSync("dpkg-deb", ["--root-owner-group", "--build", content, join(folder, file)], { stdio: "ignore" });
  const body = await readFile(join(folder, file));
  const packages =
    `${control}Filename: ${file}\nSize: ${body.length}\n` +
    `SHA256: ${createHash("sha256").update(body).digest("hex")}\n\n`;
  const indexName = `main/binary-${architecture}/Packages`;
  const index = join(folder, "dists", suite, indexName);
  await mkdir(join(index, ".."), { recursive: true });
  await writeFile(index, packages);
  const indexSha256 = createHash("sha256").update(packages).digest("hex");
  await writeFile(
    join(folder, "dists", suite, "Release"),
    `Suite: ${suite}\nCodename: ${suite}\nArchitectures: ${architecture}\nComponents: main\n` +
      `Date: ${new Date().toUTCString()}\nSHA256:\n ${indexSha256} ${packages.length} ${indexName}\n`,
  );
}

async function writeAptFolder(folder: string, source: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "sources.list"), source);
  return folder;
}

async function sourcesAt(folder: string, release: Partial<ReleaseSource>, aptSource = ""): Promise<DownloadSources> {
  const nowhere = await refusingUrl();
  return {
    release: { baseUrl: nowhere, silenceMs, checksums: {}, ...release },
    debian: {
      aptFolder: await writeAptFolder(join(folder, "apt"), aptSource),
      publicMirror: { uri: `${nowhere}/debian`, signedBy: null, trusted: "no" },
      silenceMs,
    },
  };
}

folderTest("gives up a silent connection after five seconds", () => {
  expect(officialRelease.silenceMs).toBe(5_000);
  expect(debianSource.silenceMs).toBe(5_000);
  expect(defaultDownloadSources).toEqual({ release: officialRelease, debian: debianSource });
});

folderTest("names the archives of the pinned release as GitHub does", () => {
  expect(releaseArchiveName("linux", "x64")).toBe("nats-server-v2.14.5-linux-amd64.tar.gz");
  expect(releaseArchiveName("linux", "arm64")).toBe("nats-server-v2.14.5-linux-arm64.tar.gz");
  expect(releaseArchiveName("darwin", "arm64")).toBe("nats-server-v2.14.5-darwin-arm64.tar.gz");
  expect(releaseArchiveName("win32", "x64")).toBeUndefined();
  expect(Object.keys(officialRelease.checksums)).toEqual([
    releaseArchiveName("linux", "x64"),
    releaseArchiveName("linux", "arm64"),
  ]);
});

folderTest("fetches the release, and finds it in the cache the next time", async ({ folder }) => {
  const sha256 = await writeRelease(join(folder, "release"));
  await using server = await serveFolder(join(folder, "release"));
  const cacheDir = join(folder, "cache with a space");
  const sources = await sourcesAt(folder, { baseUrl: server.url, checksums: { [archiveName]: sha256 } });
  const path = join(cacheDir, pinnedVersion, "nats-server");

  const first = await findNatsServer({ searchPath: "", cacheDir, sources });
  const second = await findNatsServer({ searchPath: "", cacheDir, sources });

  expect(first).toEqual({ path, version: pinnedVersion, source: "release" });
  expect(second).toEqual({ path, version: pinnedVersion, source: "cache" });
  expect(server.requests).toEqual([`/${archiveName}`]);
  expect(await readdir(cacheDir)).toEqual([pinnedVersion]);
});

folderTest("refuses a release with another checksum, and looks no further", async ({ folder }) => {
  await writeRelease(join(folder, "release"));
  await writeMirror(join(folder, "mirror"), "forky", "2.15.1");
  await using server = await serveFolder(folder);
  const checksums = { [archiveName]: "0".repeat(64) };
  const aptSource = `deb [trusted=yes] ${server.url}/mirror bookworm main\n`;
  const sources = await sourcesAt(folder, { baseUrl: `${server.url}/release`, checksums }, aptSource);
  const cacheDir = join(folder, "cache");

  const finding = findNatsServer({ searchPath: "", cacheDir, sources });

  await expect(finding).rejects.toMatchObject({
    code: "NATS_SERVER_CHECKSUM_MISMATCH",
    details: { expected: "0".repeat(64) },
  });
  expect(await readdir(cacheDir)).toEqual([]);
});

folderTest("checks another platform's archive against the release's own list", async ({ folder }) => {
  const sha256 = await writeRelease(join(folder, "release"));
  await using server = await serveFolder(join(folder, "release"));
  const sources = await sourcesAt(folder, { baseUrl: server.url });
  const list = join(folder, "release", "SHA256SUMS");

  await writeFile(list, `${"0".repeat(64)}  other.zip\n${"1".repeat(64)}  ${archiveName}\n`);
  const mismatch = findNatsServer({ searchPath: "", cacheDir: join(folder, "cache"), sources });
  await expect(mismatch).rejects.toMatchObject({ code: "NATS_SERVER_CHECKSUM_MISMATCH" });

  await writeFile(list, `${"0".repeat(64)}  other.zip\n${sha256}  ${archiveName}\n`);
  const found = await findNatsServer({ searchPath: "", cacheDir: join(folder, "cache"), sources });
  expect(found.source).toBe("release");
});

folderTest("lets two fetch at once", async ({ folder }) => {
  const sha256 = await writeRelease(join(folder, "release"));
  await using server = await serveFolder(join(folder, "release"));
  const cacheDir = join(folder, "cache");
  const sources = await sourcesAt(folder, { baseUrl: server.url, checksums: { [archiveName]: sha256 } });
  const path = join(cacheDir, pinnedVersion, "nats-server");

  const found = await Promise.all([1, 2, 3].map(() => findNatsServer({ searchPath: "", cacheDir, sources })));

  expect(found.map((each) => each.path)).toEqual([path, path, path]);
  expect(await readdir(cacheDir)).toEqual([pinnedVersion]);
});

folderTest("removes what a fetch killed long ago left in the cache", async ({ folder }) => {
  const sha256 = await writeRelease(join(folder, "release"));
  await using server = await serveFolder(join(folder, "release"));
  const cacheDir = join(folder, "cache");
  const sources = await sourcesAt(folder, { baseUrl: server.url, checksums: { [archiveName]: sha256 } });
  await mkdir(join(cacheDir, "fetch-running"), { recursive: true });
  await mkdir(join(cacheDir, "fetch-abandoned"));
  await utimes(join(cacheDir, "fetch-abandoned"), 0, 0);

  await findNatsServer({ searchPath: "", cacheDir, sources });

  expect((await readdir(cacheDir)).sort()).toEqual([pinnedVersion, "fetch-running"]);
});

folderTest.for([
  ["is down", { [`/release/${archiveName}`]: refuse }],
  ["does not answer", { [`/release/${archiveName}`]: hang }],
  ["stops in the middle", { [`/release/${archiveName}`]: hangHalfway }],
] as const)("takes Debian's package when the release %s", async ([, misbehaviours], { folder }) => {
  await writeMirror(join(folder, "mirror"), "forky", "2.15.1");
  await using server = await serveFolder(folder, misbehaviours);
  const aptSource = `deb [trusted=yes] ${server.url}/mirror bookworm main\n`;
  const release = { baseUrl: `${server.url}/release`, silenceMs: shortSilenceMs };
  const sources = await sourcesAt(folder, release, aptSource);
  const cacheDir = join(folder, "cache with a space");
  const notices: string[] = [];

  const found = await findNatsServer({
    searchPath: "",
    cacheDir,
    sources,
    onNotice: (sentence) => notices.push(sentence),
  });

  expect(found).toEqual({ path: join(cacheDir, "2.15.1", "nats-server"), version: "2.15.1", source: "debian" });
  expect(await readdir(cacheDir)).toEqual(["2.15.1"]);
  expect(notices).toHaveLength(2);
});

folderTest("looks for Debian's package in the next suite when one is missing or too old", async ({ folder }) => {
  await writeMirror(join(folder, "old"), "forky", "2.9.10");
  await writeMirror(join(folder, "old"), "sid", "2.16.0");
  await using server = await serveFolder(join(folder, "old"));
  const aptSource = `deb [trusted=yes] ${server.url} bookworm main\n`;
  const sources = await sourcesAt(folder, {}, aptSource);

  const found = await findNatsServer({ searchPath: "", cacheDir: join(folder, "cache"), sources });

  expect(found).toMatchObject({ version: "2.16.0", source: "debian" });
});

folderTest("refuses a Debian mirror that nobody signed, and says all it tried", async ({ folder }) => {
  await writeMirror(join(folder, "mirror"), "forky", "2.15.1");
  await writeFakeServer(join(folder, "bin", "nats-server"), "2.9.10");
  await using server = await serveFolder(folder);
  const sources = await sourcesAt(folder, {}, `deb ${server.url}/mirror bookworm main\n`);

  const finding = findNatsServer({ searchPath: join(folder, "bin"), cacheDir: join(folder, "cache"), sources });

  await expect(finding).rejects.toMatchObject({
    code: "NATS_SERVER_DOWNLOAD_FAILED",
    details: {
      reason: expect.stringMatching(/ECONNREFUSED.*mirror forky: .*not signed/),
      tooOld: [`${join(folder, "bin", "nats-server")} is 2.9.10`],
    },
  });
});

folderTest("says so when the cache cannot be written", async ({ folder }) => {
  await writeFile(join(folder, "cache"), "not a folder");
  const sources = await sourcesAt(folder, {});

  const finding = findNatsServer({ searchPath: "", cacheDir: join(folder, "cache"), sources });

  await expect(finding).rejects.toMatchObject({
    code: "NATS_SERVER_DOWNLOAD_FAILED",
    message: expect.stringContaining(join(folder, "cache")),
  });
});

folderTest("ends a download when its caller gives up", async ({ folder }) => {
  const caller = new AbortController();
  const reason = new Error("the caller gave up");
  await using server = await serveFolder(folder, { [`/${archiveName}`]: () => caller.abort(reason) });
  const sources = await sourcesAt(folder, { baseUrl: server.url });
  const cacheDir = join(folder, "cache");

  const finding = findNatsServer({ searchPath: "", cacheDir, sources, signal: caller.signal });

  await expect(finding).rejects.toBe(reason);
  expect(await readdir(cacheDir)).toEqual([]);
});
