/**
 * The Debian mirrors this machine already uses, read from its own apt sources in both formats (one-line `.list`, and
 * deb822 `.sources`). A machine behind a company mirror can often reach nothing else.
 *
 * Format: https://manpages.debian.org/stable/apt/sources.list.5.en.html
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

export interface AptMirror {
  readonly uri: string;
  /** Path of the keyring the entry names, or null when it relies on apt's own trusted keys. */
  readonly signedBy: string | null;
  /** "yes" when the administrator told apt to take this mirror without a signature. */
  readonly trusted: "yes" | "no";
}

interface AptEntry extends AptMirror {
  readonly suites: readonly string[];
}

/** Each unreachable mirror costs seconds; a machine with more than two reachable ones has no trouble with the first. */
const ownMirrorsMax = 2;

/** What can stand before the first dash of a Debian suite. Ubuntu's archives have other names and other keys. */
const debianSuites: ReadonlySet<string> = new Set([
  ...["oldoldstable", "oldstable", "stable", "testing", "unstable", "sid"],
  ...["bullseye", "bookworm", "trixie", "forky", "duke"],
]);

/** The machine's Debian mirrors in the order apt lists them, then the public one. `aptFolder` is usually /etc/apt. */
export async function debianMirrors(aptFolder: string, publicMirror: AptMirror): Promise<readonly AptMirror[]> {
  const partsFolder = join(aptFolder, "sources.list.d");
  const parts = await readdir(partsFolder).catch(() => []);
  const files = [join(aptFolder, "sources.list"), ...parts.sort().map((name) => join(partsFolder, name))];
  const mirrors = new Map<string, AptMirror>();
  for (const file of files) {
    for (const { uri, signedBy, trusted, suites } of await entriesOf(file)) {
      if (suites.some(isDebianArchiveSuite) && !isLocal(uri) && mirrors.size < ownMirrorsMax) {
        const bareUri = uri.replace(/\/+$/, "");
        mirrors.set(bareUri, mirrors.get(bareUri) ?? { uri: bareUri, signedBy, trusted });
      }
    }
  }
  return [...mirrors.values(), ...(mirrors.has(publicMirror.uri) ? [] : [publicMirror])];
}

/** The security archive is another tree, without the packages of other suites. Names with a slash are its old form. */
function isDebianArchiveSuite(suite: string): boolean {
  const [release = "", ...extension] = suite.split("-");
  return debianSuites.has(release) && !extension.includes("security");
}

function isLocal(uri: string): boolean {
  return /^(cdrom|file|copy):/.test(uri);
}

async function entriesOf(file: string): Promise<readonly AptEntry[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  if (file.endsWith(".list")) {
    return parseOneLineSources(text);
  }
  return file.endsWith(".sources") ? parseDeb822Sources(text) : [];
}

/** `deb [signed-by=/path arch=amd64] http://mirror/debian bookworm main contrib` */
export function parseOneLineSources(text: string): readonly AptEntry[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)/.exec(line.replace(/#.*/, ""));
    if (match?.[2] === undefined || match[3] === undefined) {
      return [];
    }
    const options = new Map((match[1] ?? "").split(/\s+/).map((option) => splitOnce(option, "=")));
    return [{ uri: match[2], suites: [match[3]], ...trustOf(options.get("signed-by"), options.get("trusted")) }];
  });
}

/** Stanzas of `Field: value` lines, values continued on lines that begin with a blank. */
export function parseDeb822Sources(text: string): readonly AptEntry[] {
  const withoutComments = text.replace(/^#.*\n?/gm, "");
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const unfolded = stanza.replace(/\n[ \t]+/g, " ").split("\n");
    const fields = new Map(unfolded.map((line) => splitOnce(line, ":")));
    if (!words(fields.get("types")).includes("deb") || fields.get("enabled")?.toLowerCase() === "no") {
      return [];
    }
    const suites = words(fields.get("suites"));
    const trust = trustOf(fields.get("signed-by"), fields.get("trusted"));
    return words(fields.get("uris")).map((uri) => ({ uri, suites, ...trust }));
  });
}

/** A `Signed-By` may also be a fingerprint or a whole key in the file; then apt's own trusted keys have to do. */
function trustOf(signedBy: string | undefined, trusted: string | undefined): Pick<AptMirror, "signedBy" | "trusted"> {
  return {
    signedBy: signedBy !== undefined && /^\/[^\s,\]]+$/.test(signedBy) ? signedBy : null,
    trusted: trusted?.toLowerCase() === "yes" ? "yes" : "no",
  };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text.trim().toLowerCase(), ""] : [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()];
}

function words(text: string | undefined): readonly string[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "");
}
