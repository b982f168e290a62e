/**
 * Every way in which a report can be read as a sentence. A rule that finds nothing in the plain text may find it when fields
 * are put together, names are split into words, letters are pulled together, digits stand for letters, or something is decoded.
 */
import type { ErrorReport } from "../messages.js";
import { type Decoded, decodedFrom } from "./decode.js";
import { fold, withoutLookalikes } from "./fold.js";
import { mended } from "./spelling.js";

export interface Reading {
  /** How the text was come by, for whoever wonders why a report was rejected. */
  readonly how: string;
  /** Folded, spaces single. */
  readonly text: string;
  /** Without anything but letters, for words that were taken apart. */
  readonly squeezed: boolean;
}

export function readingsOf(report: ErrorReport): readonly Reading[] {
  const { error, stack, context } = boundedReport(report);
  const inContext = stringsIn(context);
  const texts = [error, stack, ...inContext];
  const whole = texts.join("\n");
  // Without what stands in every report between the parts of a sentence that was split over it.
  const { file: _file, request_id: _requestId, ...others } = context;
  const told = valuesIn(others).join(" ");
  const joined = [error, withoutPlaces(stack).replaceAll(error, " "), told].join(" ");
  const decoded = [...decodedFrom(whole), ...decodedFrom(joined)];
  return unique([
    ...[...texts, joined, withoutComments(joined), `${error} ${told}`].flatMap((text) => readingsOfText("plain", text)),
    ...decoded.flatMap(({ encoding, text }: Decoded) => readingsOfText(encoding, text)),
  ]);
}

/** Characters of all fields together. What is beyond is not read; see that nobody else reads it. */
export const screenedLengthMax = 65_536;
/** Of them, those of a file's name. It is given to others, so that a long text before it must not take its room. */
export const fileLengthMax = 1_000;

/** The file first, then the fields in the order in which they are read, as long as there is room. */
function boundedReport({ error, stack, context, ...rest }: ErrorReport): ErrorReport {
  const { file, line, ...others } = context;
  let room = screenedLengthMax;
  const cut = (text: string): string => {
    const kept = text.slice(0, room);
    room -= kept.length;
    return kept.replace(endlessWords, "$& ");
  };
  const within = (value: unknown): unknown => {
    if (typeof value === "string") return cut(value);
    if (Array.isArray(value)) return value.map(within);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [cut(key), within(inner)]));
  };
  const named = { file: cut(file.slice(0, fileLengthMax)), line };
  return {
    ...rest,
    error: cut(error),
    context: { ...named, ...(within(others) as typeof others) },
    stack: cut(stack),
  };
}

/** No sentence has such words, and looking for its end at each of its letters takes for ever. Encoded texts are taken apart before. */
const endlessWords = /\p{L}{2000}/gu;

function readingsOfText(how: string, text: string): readonly Reading[] {
  const plain = fold(text);
  const latin = withoutLookalikes(plain);
  const words = latin.replace(/[_\-./\\+,|*'"]+/g, " ");
  const unCameled = fold(text.replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2"));
  const variants: readonly (readonly [string, string])[] = [
    [how, plain],
    [`${how}, lookalike letters`, latin],
    [`${how}, names as words`, words],
    [`${how}, names as words`, unCameled],
    [`${how}, letters pulled together`, lettersPulledTogether(latin)],
    [`${how}, digits as letters`, digitsAsLetters(latin)],
    [`${how}, spelling mended`, mended(latin)],
  ];
  return [
    ...variants.map(([name, variant]) => ({ how: name, text: variant.replace(/\s+/g, " ").trim(), squeezed: false })),
    { how: `${how}, letters only`, text: latin.replace(/[^\p{L}]+/gu, ""), squeezed: true },
  ];
}

/** `i g n o r e   a l l` and `i.g.n.o.r.e a.l.l`: a wider gap, or another one, is between words. */
function lettersPulledTogether(text: string): string {
  return text.replace(/(?<![\p{L}\p{N}])\p{L}([ ._*-])(?:\p{L}\1){1,200}\p{L}(?![\p{L}\p{N}])/gu, (run, gap: string) =>
    run.replaceAll(gap, ""),
  );
}

// biome-ignore format: pairs
const digitLetters: Readonly<Record<string, string>> = {
  "0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", $: "s", "!": "i",
};

/** Only in what is a word otherwise: figures stay figures. */
function digitsAsLetters(text: string): string {
  return text.replace(/[\p{L}\d@$!]+/gu, (token) =>
    /\p{L}/u.test(token) || /^[0134578]{2,}$/.test(token)
      ? token.replace(/[0134578@$!]/g, (sign) => digitLetters[sign] ?? sign)
      : token,
  );
}

/** A stack without where its lines come from, so that a sentence spread over its lines is one again. */
function withoutPlaces(stack: string): string {
  return stack.replace(/\((?:[^()\s]*[/\\:][^()]*)\)|^\s*at\s+/gm, " ");
}

function withoutComments(text: string): string {
  return text.replace(/<!--|-->|\/\*|\*\/|<\/?[a-z][^<>]{0,200}>/gi, " ");
}

/** Texts at any depth, and keys, which are texts too. */
function stringsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) {
    const within = value.flatMap(stringsIn);
    return within.length > 1 ? [...within, within.join(" ")] : within;
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...stringsIn(inner)]);
}

function valuesIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(valuesIn) : [];
}

/** The first of each, which is the one that had the least done to it. */
function unique(readings: readonly Reading[]): readonly Reading[] {
  return [
    ...new Map(readings.toReversed().map((reading) => [`${reading.squeezed} ${reading.text}`, reading])).values(),
  ].toReversed();
}
