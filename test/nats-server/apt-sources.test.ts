import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { type AptMirror, debianMirrors } from "../../src/nats-server/apt-sources.js";
import { folderTest } from "./folder-test.js";

const publicMirror: AptMirror = { uri: "http://public.example/debian", signedBy: null, trusted: "no" };

async function mirrorsOf(folder: string, files: Readonly<Record<string, string>>): Promise<readonly AptMirror[]> {
  await mkdir(join(folder, "sources.list.d"), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, name), text);
  }
  return debianMirrors(folder, publicMirror);
}

folderTest("reads a one-line source with its options", async ({ folder }) => {
  const mirrors = await mirrorsOf(folder, {
    "sources.list":
      "# deb http://commented.example/debian bookworm main\n" +
      "deb-src http://sources.example/debian bookworm main\n" +
      "deb [arch=amd64 signed-by=/keys/own.gpg] http://own.example/debian/ bookworm main # ours\n",
  });

  expect(mirrors).toEqual([
    { uri: "http://own.example/debian", signedBy: "/keys/own.gpg", trusted: "no" },
    publicMirror,
  ]);
});

folderTest("reads a deb822 source with folded fields", async ({ folder }) => {
  const mirrors = await mirrorsOf(folder, {
    "sources.list.d/debian.sources":
      "Types: deb deb-src\n# a comment between fields\nURIs:\n http://one.example/debian\n http://two.example/debian\n" +
      "Suites: trixie trixie-updates\nComponents: main\nTrusted: yes\n" +
      "\n" +
      "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n",
  });

  expect(mirrors).toEqual([
    { uri: "http://one.example/debian", signedBy: null, trusted: "yes" },
    { uri: "http://two.example/debian", signedBy: null, trusted: "yes" },
    publicMirror,
  ]);
});

folderTest("passes over what is not Debian's main archive or not on the network", async ({ folder }) => {
  const mirrors = await mirrorsOf(folder, {
    "sources.list":
      "deb http://security.example/debian-security bookworm-security main\n" +
      "deb http://security.example/debian-security bullseye/updates main\n" +
      "deb http://ubuntu.example/ubuntu noble main\n" +
      "deb https://packages.example/apt nodistro main\n" +
      "deb cdrom:[Debian]/ bookworm main\n",
    "sources.list.d/readme.txt": "deb http://ignored.example/debian bookworm main\n",
  });

  expect(mirrors).toEqual([publicMirror]);
});

folderTest("names the public mirror once when the machine uses it too", async ({ folder }) => {
  const mirrors = await mirrorsOf(folder, { "sources.list": `deb ${publicMirror.uri} sid main\n` });

  expect(mirrors).toEqual([publicMirror]);
});

folderTest("falls back to the public mirror on a machine without apt sources", async ({ folder }) => {
  expect(await debianMirrors(join(folder, "missing"), publicMirror)).toEqual([publicMirror]);
});
