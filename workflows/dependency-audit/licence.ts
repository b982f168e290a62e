/**
 * Capability `audit-licence`: what a package's own files say about its licence, the declaration in package.json held
 * against the licence files beside it.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  classifyLicence,
  type LicenceExpression,
  licenceFamilies,
  parseLicenceExpression,
} from "./licence-expression.js";
import { recogniseLicences } from "./licence-text.js";
import type { LicenceAgreement, LicenceClass, LicenceOutput, PackageTaskInput } from "./messages.js";
import { quotedCharactersMax } from "./messages.js";
import { findPackageDirectory, type Manifest, readManifest, readPlainFile } from "./package-directory.js";

/** LICENSE, LICENCE.md, LICENSE-MIT, MIT-LICENSE.txt, COPYING.LESSER, UNLICENSE; not license.js, not THIRD-PARTY-LICENSES. */
const licenceFileName = /^(?:[a-z0-9]+[-_.])?(?:licen[cs]e|copying|unlicen[cs]e)(?:[-_.][a-z0-9._-]+)?$/i;
const codeFileName = /\.(?:[cm]?[jt]sx?|json|map|html?|css|png|svg)$/i;

const licenceFilesMax = 8;
/** GPL-3.0 has 35 kB; files with the licences of much bundled code some 200 kB. */
const licenceFileBytesMax = 256 * 1024;
/** Of the licences found only so many are reported: bundlers list dozens. */
const foundMax = 12;

/** Throws AuditError PACKAGE_PATH_REFUSED, PROJECT_NOT_FOUND. */
export async function auditLicence(input: PackageTaskInput): Promise<LicenceOutput> {
  const place = await findPackageDirectory(input);
  if (place.state === "absent") return { outcome: "not-installed" };
  const read = await readManifest(place.directory);
  if (read.state === "unreadable") return { outcome: "unreadable", reason: read.reason };
  const { version } = read.manifest;
  const texts = await readLicenceFiles(place.directory);
  return {
    outcome: "read",
    ...judgeLicence(declaredLicence(read.manifest), texts),
    version: typeof version === "string" ? version.slice(0, quotedCharactersMax) : null,
  };
}

export interface LicenceJudgement {
  readonly declared: string | null;
  readonly found: string[];
  readonly agreement: LicenceAgreement;
  readonly class: LicenceClass;
}

/** Holds a declaration against the texts of the licence files. */
export function judgeLicence(declared: string | null, texts: readonly string[]): LicenceJudgement {
  const found = [...new Set(texts.flatMap(recogniseLicences))];
  const expression = declared === null ? null : parseLicenceExpression(declared);
  const families = expression === null ? [] : licenceFamilies(expression);
  return {
    declared: declared === null ? null : declared.slice(0, quotedCharactersMax),
    found: found.slice(0, foundMax),
    agreement: agreementOf({ families, found, textCount: texts.length }),
    class: classFrom(expression, found),
  };
}

/** The declaration as text: the legacy shapes `{type}` and lists of them were a choice, so they are joined with OR. */
export function declaredLicence(manifest: Pick<Manifest, "license" | "licence" | "licenses">): string | null {
  for (const field of [manifest.license, manifest.licenses, manifest.licence]) {
    const names = (Array.isArray(field) ? field : [field]).map(licenceName).filter((name) => name !== null);
    const [only, ...more] = names;
    if (only === undefined) continue;
    return more.length === 0 ? only : `(${names.join(" OR ")})`;
  }
  return null;
}

function licenceName(value: unknown): string | null {
  const name = typeof value === "object" && value !== null && "type" in value ? value.type : value;
  return typeof name === "string" && name.trim() !== "" ? name.trim() : null;
}

function agreementOf(evidence: {
  readonly families: readonly string[];
  readonly found: readonly string[];
  readonly textCount: number;
}): LicenceAgreement {
  const { families, found, textCount } = evidence;
  if (found.length === 0) {
    if (textCount > 0) return "unrecognised";
    return families.length > 0 ? "no-text" : "nothing";
  }
  if (families.length === 0) return "undeclared";
  const declaredOnes = found.filter((id) => families.includes(id));
  if (declaredOnes.length === 0) return "differs";
  return declaredOnes.length === found.length ? "agrees" : "more-found";
}

/**
 * A declaration that can be read decides, also one that names an unknown licence or "UNLICENSED", whatever text lies
 * beside it. Without one, all that the files contain has to be reckoned with.
 */
function classFrom(expression: LicenceExpression | null, found: readonly string[]): LicenceClass {
  if (expression !== null) return classifyLicence(expression);
  return classifyLicence({ kind: "and", parts: found.map((id) => ({ kind: "licence", id, exception: null })) });
}

async function readLicenceFiles(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile() && licenceFileName.test(entry.name) && !codeFileName.test(entry.name))
    .map(({ name }) => name)
    .sort()
    .slice(0, licenceFilesMax);
  const texts: string[] = [];
  for (const name of names) {
    const text = await readPlainFile(join(directory, name), licenceFileBytesMax);
    if (text !== null && text.trim() !== "") texts.push(text);
  }
  return texts;
}
