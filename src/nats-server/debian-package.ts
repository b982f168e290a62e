/**
 * Debian's nats-server package, for machines that reach a Debian mirror but not GitHub. apt does the fetching and
 * checks the signatures; it gets a state folder of its own, so it needs no root and the machine's own apt notices
 * nothing. The package is unpacked, not installed.
 *
 * Only suites with 2.12 or newer are asked (bookworm has 2.9): forky, then trixie-backports, then sid.
 */
import { access, mkdtemp, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type AptMirror, debianMirrors } from "./apt-sources.js";
import { type FetchResult, type FetchTarget, installBinary } from "./binary-cache.js";
import { ownEnvironment } from "./locations.js";
import { makeDirectory } from "./make-directory.js";
import { type CommandResult, runCommand } from "./run-command.js";
import { askVersion, isRecentEnough, minimumVersion } from "./version.js";

export interface DebianSource {
  /** Where the machine's apt sources are: /etc/apt. */
  readonly aptFolder: string;
  /** Asked after the machine's own mirrors. */
  readonly publicMirror: AptMirror;
  /** A mirror silent for this long is given up. */
  readonly silenceMs: number;
}

export const debianSource: DebianSource = {
  aptFolder: "/etc/apt",
  publicMirror: { uri: "http://deb.debian.org/debian", signedBy: null, trusted: "no" },
  silenceMs: 5_000,
};

const suites = ["forky", "trixie-backports", "sid"] as const;

/** Either name is Debian's archive keyring; which of them is a link to the other depends on the release. */
const archiveKeyrings = [
  "/usr/share/keyrings/debian-archive-keyring.gpg",
  "/usr/share/keyrings/debian-archive-keyring.pgp",
] as const;

/** One suite's package index has about 10 MB and the package 6 MB: a minute is a line slower than 2 Mbit/s. */
const aptTimeoutMs = 60_000;
/** For what only works on this machine. */
const commandTimeoutMs = 20_000;

export async function fetchDebianPackage(source: DebianSource, target: FetchTarget): Promise<FetchResult> {
  const probe = await runCommand("apt-get", ["--version"], { timeoutMs: commandTimeoutMs, signal: target.signal });
  if (probe.outcome === "failed") {
    return { outcome: "unavailable", reason: "there is no apt-get for Debian's package" };
  }
  const reasons: string[] = [];
  for (const mirror of await debianMirrors(source.aptFolder, source.publicMirror)) {
    for (const suite of suites) {
      const result = await fetchFromSuite(mirror, suite, source, target);
      if (result.outcome === "installed") {
        return result;
      }
      reasons.push(`${mirror.uri} ${suite}: ${result.reason}`);
      // A mirror that hung for one suite hangs for the others too.
      if (result.outcome === "silent") break;
    }
  }
  return { outcome: "unavailable", reason: reasons.join("; ") };
}

async function fetchFromSuite(
  mirror: AptMirror,
  suite: string,
  source: DebianSource,
  target: FetchTarget,
): Promise<FetchResult | { readonly outcome: "silent"; readonly reason: string }> {
  const folder = await mkdtemp(join(target.workFolder, "apt-"));
  const apt = await privateApt(folder, mirror, suite, source, target);
  const startedAt = performance.now();
  const updated = await apt(["update"]);
  if (updated.outcome === "failed") {
    // A suite that a mirror does not have is known at once.
    const isSilent = performance.now() - startedAt >= source.silenceMs;
    return { outcome: isSilent ? "silent" : "unavailable", reason: updated.reason };
  }
  const downloaded = await apt(["download", "nats-server"]);
  if (downloaded.outcome === "failed") {
    return { outcome: "unavailable", reason: downloaded.reason };
  }
  return unpackPackage(folder, target);
}

const keptSettings = /^Acquire::(https?::|https?\s|ForceIPv|Check-Valid-Until\s|Check-Date\s|Max-)/;

type AptGet = (command: readonly string[]) => Promise<CommandResult>;

/** An apt-get that knows one suite of one mirror and keeps everything it writes in `folder`. */
async function privateApt(
  folder: string,
  mirror: AptMirror,
  suite: string,
  source: DebianSource,
  target: FetchTarget,
): Promise<AptGet> {
  await makeDirectory(join(folder, "lists", "partial"));
  await makeDirectory(join(folder, "archives", "partial"));
  await writeFile(join(folder, "status"), "");
  await writeFile(join(folder, "sources.list"), `deb ${await sourceOptions(mirror)}${mirror.uri} ${suite} main\n`);
  await writeFile(join(folder, "apt.conf"), await privateConfiguration(target));
  const silenceSeconds = Math.max(1, Math.ceil(source.silenceMs / 1_000));
  const settings = [
    `Dir::State=${folder}`,
    `Dir::State::lists=${join(folder, "lists")}`,
    `Dir::State::status=${join(folder, "status")}`,
    `Dir::Cache=${folder}`,
    `Dir::Cache::archives=${join(folder, "archives")}`,
    `Dir::Etc::sourcelist=${join(folder, "sources.list")}`,
    "Dir::Etc::sourceparts=/dev/null",
    "Dir::Etc::preferences=/dev/null",
    "Dir::Etc::preferencesparts=/dev/null",
    // Root's apt would drop to the user _apt, who cannot enter this private folder.
    "APT::Sandbox::User=root",
    "APT::Update::Error-Mode=any",
    "Acquire::Languages=none",
    "Acquire::Retries=0",
    `Acquire::http::Timeout=${silenceSeconds}`,
    `Acquire::https::Timeout=${silenceSeconds}`,
  ].flatMap((setting) => ["-o", setting]);
  return (command) =>
    runCommand("apt-get", ["-q", ...settings, ...command], {
      timeoutMs: aptTimeoutMs,
      cwd: folder,
      environment: { ...ownEnvironment(), APT_CONFIG: join(folder, "apt.conf"), LC_ALL: "C" },
      signal: target.signal,
    });
}

async function sourceOptions(mirror: AptMirror): Promise<string> {
  if (mirror.trusted === "yes") {
    return "[trusted=yes] ";
  }
  for (const keyring of [...archiveKeyrings, ...(mirror.signedBy === null ? [] : [mirror.signedBy])]) {
    if (await canRead(keyring)) {
      return `[signed-by=${keyring}] `;
    }
  }
  return "";
}

/**
 * Replaces the machine's apt configuration, whose hooks run after each update, want root and are none of our business.
 * How it reaches mirrors (proxies, certificates), and whether it bears with the old indexes of a frozen one, is kept.
 */
async function privateConfiguration(target: FetchTarget): Promise<string> {
  const dump = await runCommand("apt-config", ["dump"], { timeoutMs: commandTimeoutMs, signal: target.signal });
  const lines = dump.outcome === "succeeded" ? dump.stdout.split("\n") : [];
  const reach = lines.filter((line) => keptSettings.test(line));
  return ['Dir::Etc::main "/dev/null";', 'Dir::Etc::parts "/dev/null";', ...reach, ""].join("\n");
}

async function unpackPackage(folder: string, target: FetchTarget): Promise<FetchResult> {
  const packageFile = (await readdir(folder)).find((name) => name.endsWith(".deb"));
  if (packageFile === undefined) {
    return { outcome: "unavailable", reason: "apt-get download left no package" };
  }
  const root = join(folder, "root");
  const options = { timeoutMs: commandTimeoutMs, signal: target.signal };
  const unpacked = await runCommand("dpkg-deb", ["-x", join(folder, packageFile), root], options);
  if (unpacked.outcome === "failed") {
    return { outcome: "unavailable", reason: unpacked.reason };
  }
  const binary = join(root, "usr", "sbin", "nats-server");
  const answer = await askVersion(binary, target.signal);
  if (answer.kind === "notAServer") {
    return { outcome: "unavailable", reason: `${packageFile} does not run here: ${answer.reason}` };
  }
  if (!isRecentEnough(answer.version)) {
    return { outcome: "unavailable", reason: `it has ${answer.version}, older than ${minimumVersion}` };
  }
  return {
    outcome: "installed",
    path: await installBinary(target.cacheDir, answer.version, binary),
    version: answer.version,
  };
}

async function canRead(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
