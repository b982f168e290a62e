/**
 * Recognises licences by sentences that only they have. Texts are compared as lower-case words with everything else
 * taken out, so that line breaks, quotes, comment signs and Markdown make no difference.
 *
 * One file may hold several licences (a choice, or those of bundled code): all are named, in order of appearance.
 * Titles rather than names are looked for in the GNU family, because these licences and MPL-2.0 mention each other.
 */

interface Sign {
  readonly id: string;
  readonly words: RegExp;
}

const signs: readonly Sign[] = [
  { id: "Apache-2.0", words: /apache license version 2 0 (january 2004|the license you may not use)/g },
  { id: "Apache-2.0", words: /licensed under the apache license version 2 0/g },
  { id: "MPL-2.0", words: /mozilla public license version 2 0 (1 definitions|if a copy of the mpl)/g },
  { id: "MPL-2.0", words: /subject to the terms of the mozilla public license v 2 0/g },
  { id: "Unlicense", words: /this is free and unencumbered software released into the public domain/g },
  { id: "CC0-1.0", words: /cc0 1 0 universal/g },
  { id: "CC-BY-4.0", words: /creative commons attribution 4 0 international/g },
  { id: "BlueOak-1.0.0", words: /blue oak model license version 1 0 0/g },
  { id: "EPL-2.0", words: /eclipse public license v 2 0/g },
  { id: "Zlib", words: /altered source versions must be plainly marked as such/g },
  { id: "WTFPL", words: /do what the fuck you want to public license/g },
  { id: "GPL-2.0", words: /(?<!affero |lesser |library )gnu general public license version 2 june 1991/g },
  { id: "GPL-3.0", words: /gnu general public license version 3 29 june 2007/g },
  { id: "LGPL-2.0", words: /gnu library general public license version 2 june 1991/g },
  { id: "LGPL-2.1", words: /gnu lesser general public license version 2 1 february 1999/g },
  { id: "LGPL-3.0", words: /gnu lesser general public license version 3 29 june 2007/g },
  { id: "AGPL-3.0", words: /gnu affero general public license version 3 19 november 2007/g },
];

/** Licences whose sentence is the same and whose name depends on what follows it. */
const families: readonly {
  readonly words: RegExp;
  readonly name: (rest: string, match: RegExpExecArray) => string | null;
}[] = [
  {
    words: /permission is hereby granted free of charge to any person obtaining a copy of this software/g,
    name: (rest) => (/^.{0,900}?permission notice/.test(rest) ? "MIT" : "MIT-0"),
  },
  {
    words:
      /permission to use copy modify and(?: or)? distribute this software for any purpose with or without fee is hereby granted/g,
    name: (rest) => (rest.startsWith(" provided that") ? "ISC" : "0BSD"),
  },
  {
    words: /redistribution and use in source and binary forms with or without modification are permitted/g,
    name: nameBsd,
  },
  {
    words: /python software foundation license version 2/g,
    // Python-2.0 is the whole stack of licences Python came with; PSF-2.0 its first layer alone.
    name: (rest) => (rest.includes("beopen") ? "Python-2.0" : "PSF-2.0"),
  },
  {
    words:
      /terms of the gnu (affero |lesser |library )?general public license as published by the free software foundation (?:either )?version (2 1|[23])/g,
    name: nameGnu,
  },
];

/** Short files that give a name instead of a text: "Released under the MIT license." */
const namedOnly: readonly Sign[] = [
  { id: "MIT", words: /\b(mit license|license mit|licensed under mit)\b/g },
  { id: "ISC", words: /\bisc license\b/g },
  { id: "Apache-2.0", words: /\bapache (license )?(version )?2 0\b/g },
  { id: "BSD-3-Clause", words: /\bbsd 3 clause\b/g },
  { id: "BSD-2-Clause", words: /\bbsd 2 clause\b/g },
  { id: "MPL-2.0", words: /\bmozilla public license (version |v )?2 0\b/g },
];
const namedOnlyCharactersMax = 1000;

/** SPDX ids of the licences in a text, each once, in order of appearance. */
export function recogniseLicences(text: string): readonly string[] {
  const words = text
    .toLowerCase()
    // The few letters that are spelled differently around the world.
    .replaceAll("licence", "license")
    .replace(/[^a-z0-9]+/g, " ");
  const found = [...matches(words, signs), ...familyMatches(words)];
  const named = found.length === 0 && words.length <= namedOnlyCharactersMax ? matches(words, namedOnly) : [];
  const ordered = [...found, ...named].sort((a, b) => a.index - b.index);
  return [...new Set(ordered.map(({ id }) => id))];
}

interface Match {
  readonly id: string;
  readonly index: number;
}

function matches(words: string, wanted: readonly Sign[]): Match[] {
  return wanted.flatMap((sign) => [...words.matchAll(sign.words)].map(({ index }) => ({ id: sign.id, index })));
}

function familyMatches(words: string): Match[] {
  const found: Match[] = [];
  for (const family of families) {
    const hits = [...words.matchAll(family.words)];
    for (const [position, hit] of hits.entries()) {
      // Up to the next text of the same family, which has its own conditions.
      const rest = words.slice(hit.index + hit[0].length, hits[position + 1]?.index);
      const id = family.name(rest, hit);
      if (id !== null) found.push({ id, index: hit.index });
    }
  }
  return found;
}

function nameBsd(rest: string): string | null {
  // The conditions and the disclaimer of any BSD licence end well within this many characters.
  const conditions = rest.slice(0, 2000);
  if (/^.{0,900}?all advertising materials mentioning/.test(conditions)) return "BSD-4-Clause";
  if (/neither the name|endorse or promote products/.test(conditions)) return "BSD-3-Clause";
  return conditions.includes("redistributions in binary form") ? "BSD-2-Clause" : null;
}

function nameGnu(_rest: string, match: RegExpExecArray): string {
  const [, kind, version] = match;
  const prefix = kind === undefined ? "GPL" : kind.startsWith("affero") ? "AGPL" : "LGPL";
  return `${prefix}-${version === "2 1" ? "2.1" : `${version}.0`}`;
}
