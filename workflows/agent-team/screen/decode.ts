/** Finds what is written in another alphabet inside a text, and gives it as text. Nothing found is run or followed. */

/** Shorter ones are ids and words; longer ones are cut, a sentence that gives orders is found long before. */
const base64LengthMin = 16;
const payloadLengthMax = 16_384;

interface Decoder {
  readonly name: string;
  decode(text: string): readonly string[];
}

const found = (text: string, pattern: RegExp, decode: (match: string) => string): readonly string[] =>
  [...text.matchAll(pattern)].map(([match]) => decode(match.slice(0, payloadLengthMax)));

/** The whole text with what is escaped in it replaced; nothing where nothing is. */
const replaced = (
  text: string,
  pattern: RegExp,
  decode: (match: string, digits: string) => string,
): readonly string[] => {
  const decoded = text.replace(pattern, decode);
  return decoded === text ? [] : [decoded];
};

const utf8 = (bytes: Buffer): string => bytes.toString("utf8");

const numbers = (list: string, radix: number): string =>
  list
    .split(/[^0-9a-f]+/i)
    .filter((digits) => digits !== "")
    .map((digits) => character(Number.parseInt(digits, radix)))
    .join("");

const character = (code: number): string => (code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "");

const morse: ReadonlyMap<string, string> = new Map(
  ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
    .split(" ")
    .map((code, index) => [code, String.fromCodePoint(0x61 + index)]),
);

const decoders: readonly Decoder[] = [
  {
    name: "base64",
    decode: (text) =>
      found(text, new RegExp(`[A-Za-z0-9+/_-]{${base64LengthMin},}={0,2}`, "g"), (match) =>
        utf8(Buffer.from(match, "base64")),
      ),
  },
  {
    name: "hexadecimal",
    decode: (text) =>
      found(text, /(?:[0-9a-f]{2}[\s:,]?){10,}/gi, (match) =>
        utf8(Buffer.from(match.replace(/[^0-9a-f]/gi, ""), "hex")),
      ),
  },
  { name: "binary", decode: (text) => found(text, /(?:[01]{7,8}[\s,]+){6,}[01]{7,8}/g, (match) => numbers(match, 2)) },
  {
    name: "character codes",
    decode: (text) => found(text, /(?:\d{2,3}[\s,;]+){9,}\d{2,3}/g, (match) => numbers(match, 10)),
  },
  {
    name: "percent signs",
    decode: (text) =>
      replaced(text, /(?:%[0-9a-f]{2})+/gi, (match) => utf8(Buffer.from(match.replaceAll("%", ""), "hex"))),
  },
  {
    name: "escapes",
    decode: (text) =>
      replaced(text, /\\(?:x|u00|u\{)([0-9a-f]{2})\}?|\\u([0-9a-f]{4})/gi, (match) =>
        character(Number.parseInt(match.replace(/[^0-9a-f]/gi, ""), 16)),
      ),
  },
  {
    name: "entities",
    decode: (text) =>
      replaced(text, /&#(x?[0-9a-f]{1,6});?/gi, (_match, digits) =>
        character(/^x/i.test(digits) ? Number.parseInt(digits.slice(1), 16) : Number.parseInt(digits, 10)),
      ),
  },
  {
    name: "morse",
    decode: (text) =>
      found(text, /(?:[.-]{1,4}[\s/]+){8,}[.-]{1,4}/g, (match) =>
        match
          .split(/\s*\/\s*/)
          .map((word) =>
            word
              .trim()
              .split(/\s+/)
              .map((code) => morse.get(code) ?? "")
              .join(""),
          )
          .join(" "),
      ),
  },
  {
    name: "rot13",
    decode: (text) => [
      text.replace(/[a-z]/gi, (letter) => {
        const code = letter.charCodeAt(0);
        return String.fromCharCode((code & 31) > 13 ? code - 13 : code + 13);
      }),
    ],
  },
  { name: "reversed", decode: (text) => [[...text].reverse().join("")] },
];

/** Beyond two layers a reader needs a program, and would be told so: that order is in plain words. */
const layersMax = 2;

export interface Decoded {
  readonly encoding: string;
  readonly text: string;
}

/** Everything that can be read out of a text by decoding, as far as it reads like text. */
export function decodedFrom(text: string, layer = 1): readonly Decoded[] {
  return decoders.flatMap(({ name, decode }) =>
    decode(text)
      .filter(readsLikeText)
      .flatMap((payload) => [
        { encoding: name, text: payload },
        // Turning back what was just turned would find the text itself.
        ...(layer < layersMax && !["rot13", "reversed"].includes(name) ? decodedFrom(payload, layer + 1) : []),
      ]),
  );
}

function readsLikeText(payload: string): boolean {
  if (payload.length < 8) return false;
  const letters = payload.match(/[\p{L}\p{N}\p{P}\s]/gu)?.length ?? 0;
  return letters / payload.length > 0.85 && !payload.includes("\ufffd\ufffd");
}
