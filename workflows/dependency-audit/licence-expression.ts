/**
 * What a package.json declares: SPDX expressions, the looser things people wrote before those, and what a licence
 * asks of whoever ships the code (its class).
 */
import type { LicenceClass } from "./messages.js";

export type LicenceExpression =
  | { readonly kind: "licence"; readonly id: string; readonly exception: string | null }
  | { readonly kind: "and" | "or"; readonly parts: readonly LicenceExpression[] };

const permissive = [
  ...["0BSD", "AFL-2.1", "AFL-3.0", "Apache-2.0", "Artistic-2.0", "BlueOak-1.0.0", "BSD-1-Clause", "BSD-2-Clause"],
  ...["BSD-3-Clause", "BSD-3-Clause-Clear", "BSD-4-Clause", "BSL-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0", "HPND"],
  ...["ISC", "MIT", "MIT-0", "MS-PL", "NCSA", "PSF-2.0", "PostgreSQL", "Python-2.0", "Unicode-3.0"],
  ...["Unicode-DFS-2016", "Unlicense", "UPL-1.0", "WTFPL", "X11", "Zlib"],
];
const weakCopyleft = [
  ...["CC-BY-SA-3.0", "CC-BY-SA-4.0", "CDDL-1.0", "CDDL-1.1", "EPL-1.0", "EPL-2.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0"],
  ...["MPL-1.1", "MPL-2.0", "OFL-1.1"],
];
const strongCopyleft = [
  ...["AGPL-1.0", "AGPL-3.0", "EUPL-1.1", "EUPL-1.2", "GPL-1.0", "GPL-2.0", "GPL-3.0", "OSL-3.0", "SSPL-1.0"],
];

const classes = new Map<string, { readonly id: string; readonly class: LicenceClass }>(
  [
    ...permissive.map((id) => ({ id, class: "permissive" }) as const),
    ...weakCopyleft.map((id) => ({ id, class: "weak-copyleft" }) as const),
    ...strongCopyleft.map((id) => ({ id, class: "strong-copyleft" }) as const),
  ].map((licence) => [licence.id.toLowerCase(), licence]),
);

/** Exceptions that let other code be linked to GPL code without becoming GPL. */
const linkingExceptions = new Set(["classpath-exception-2.0", "gcc-exception-3.1", "gcc-exception-2.0"]);

/** Before SPDX ids were asked for, people wrote these. BSD and GPL without a version leave a choice open. */
const legacyNames = new Map([
  ["apache", "Apache-2.0"],
  ["apache 2", "Apache-2.0"],
  ["apache 2.0", "Apache-2.0"],
  ["apache2", "Apache-2.0"],
  ["apache license 2.0", "Apache-2.0"],
  ["apache license, version 2.0", "Apache-2.0"],
  ["apache-2", "Apache-2.0"],
  ["bsd", "BSD-2-Clause OR BSD-3-Clause"],
  ["bsd-2", "BSD-2-Clause"],
  ["bsd-3", "BSD-3-Clause"],
  ["new bsd", "BSD-3-Clause"],
  ["cc0", "CC0-1.0"],
  ["gpl", "GPL-2.0 OR GPL-3.0"],
  ["gplv2", "GPL-2.0"],
  ["gplv3", "GPL-3.0"],
  ["lgpl", "LGPL-2.1 OR LGPL-3.0"],
  ["isc license", "ISC"],
  ["mit license", "MIT"],
  ["mit/x11", "MIT"],
  ["mpl", "MPL-2.0"],
  ["mpl 2.0", "MPL-2.0"],
  ["the mit license", "MIT"],
]);

/** Bounds the nesting of parentheses too. The longest real expressions name about ten licences. */
const charactersMax = 512;

/** Reads an SPDX expression or a legacy name; null for what is neither ("SEE LICENSE IN FILE", free text). */
export function parseLicenceExpression(text: string): LicenceExpression | null {
  const trimmed = text.trim();
  if (trimmed.length > charactersMax) return null;
  const legacy = legacyNames.get(trimmed.toLowerCase());
  // "MIT/Apache-2.0" is how a choice was written before OR.
  const tokens = (legacy ?? trimmed).replaceAll("/", " OR ").match(/[()]|[A-Za-z0-9.+:-]+|\S/g) ?? [];
  const reader = new TokenReader(tokens);
  const expression = reader.choice();
  return reader.isAtEnd() ? expression : null;
}

/** Every licence id an expression names, each once, without the suffixes that a licence's text cannot show. */
export function licenceFamilies(expression: LicenceExpression): readonly string[] {
  const ids = expression.kind === "licence" ? [familyOf(expression.id)] : expression.parts.flatMap(licenceFamilies);
  return [...new Set(ids)];
}

/**
 * The class somebody who ships the code has to reckon with: of a choice (OR) the mildest, of a sum (AND) the
 * strictest, where one unknown licence makes the sum unknown unless it is strong copyleft already.
 */
export function classifyLicence(expression: LicenceExpression): LicenceClass {
  if (expression.kind === "licence") return classOf(expression.id, expression.exception);
  const parts = new Set(expression.parts.map(classifyLicence));
  const order = expression.kind === "or" ? mildestFirst : strictestFirst;
  return order.find((candidate) => parts.has(candidate)) ?? "unknown";
}

const mildestFirst: readonly LicenceClass[] = ["permissive", "weak-copyleft", "strong-copyleft", "unknown"];
const strictestFirst: readonly LicenceClass[] = ["strong-copyleft", "unknown", "weak-copyleft", "permissive"];

function classOf(id: string, exception: string | null): LicenceClass {
  const known = classes.get(familyOf(id).toLowerCase())?.class ?? "unknown";
  const mayBeLinked = exception !== null && linkingExceptions.has(exception.toLowerCase());
  return known === "strong-copyleft" && mayBeLinked ? "weak-copyleft" : known;
}

function familyOf(id: string): string {
  const family = id.replace(/(-only|-or-later|\+)$/i, "");
  return classes.get(family.toLowerCase())?.id ?? family;
}

/** Recursive descent over the tokens of one expression; AND binds tighter than OR. Null once anything is amiss. */
class TokenReader {
  readonly #tokens: readonly string[];
  #position = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  isAtEnd(): boolean {
    return this.#position === this.#tokens.length;
  }

  choice(): LicenceExpression | null {
    return this.#joined("or", () => this.#joined("and", () => this.#term()));
  }

  #joined(kind: "and" | "or", next: () => LicenceExpression | null): LicenceExpression | null {
    const parts: LicenceExpression[] = [];
    do {
      const part = next();
      if (part === null) return null;
      parts.push(part);
    } while (this.#takeWord(kind));
    const [first, ...more] = parts;
    return first !== undefined && more.length === 0 ? first : { kind, parts };
  }

  #term(): LicenceExpression | null {
    if (this.#takeWord("(")) {
      const inner = this.choice();
      return this.#takeWord(")") ? inner : null;
    }
    const id = this.#name();
    if (id === null) return null;
    if (!this.#takeWord("with")) return { kind: "licence", id, exception: null };
    const exception = this.#name();
    return exception === null ? null : { kind: "licence", id, exception };
  }

  #name(): string | null {
    const token = this.#tokens[this.#position];
    if (token === undefined || !/^[A-Za-z0-9]/.test(token) || /^(and|or|with)$/i.test(token)) return null;
    this.#position += 1;
    return token;
  }

  #takeWord(word: string): boolean {
    if (this.#tokens[this.#position]?.toLowerCase() !== word) return false;
    this.#position += 1;
    return true;
  }
}
