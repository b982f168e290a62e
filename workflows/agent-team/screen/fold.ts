/** Brings a text into the one form that rules are written for: what looks the same, or is not seen at all, becomes the same. */

/** Seen by nobody and read by a model: zero-width and direction marks, soft hyphens, fillers, control characters. */
const unseen = /[\p{Cf}\u115f\u1160]|(?![\t\n\r])\p{Cc}/gu;
/** Accents, and the invisible ones among them: variation selectors, joiners. */
const combiningMarks = /\p{Mn}/gu;
const tagCharacters = /[\u{e0020}-\u{e007e}]/gu;
const tagBase = 0xe0000;

/** Compatibility forms, accents and case are gone, and so is what cannot be seen. Also applied to the rules themselves. */
export function fold(text: string): string {
  return text
    .replace(tagCharacters, (tag) => String.fromCodePoint((tag.codePointAt(0) ?? tagBase) - tagBase))
    .normalize("NFKD")
    .replace(combiningMarks, "")
    .replace(unseen, "")
    .normalize("NFC")
    .replace(/[\u2018\u2019\u02bc\u00b4`]/g, "'")
    .replace(/[\u201c\u201d\u00ab\u00bb]/g, '"')
    .toLowerCase();
}

/** Letters of other scripts by the Latin letter they pass for. Applied to a reading of its own: real Russian stays Russian. */
// biome-ignore format: a row a script reads better than a letter a line
const lookalikes: Readonly<Record<string, string>> = {
  а: "a", в: "b", с: "c", ԁ: "d", е: "e", һ: "h", і: "i", ј: "j", к: "k", ӏ: "l", м: "m", н: "h", о: "o", р: "p", ѕ: "s",
  т: "t", у: "y", ѵ: "v", ԝ: "w", х: "x", ԛ: "q", ґ: "r", α: "a", β: "b", γ: "y", ε: "e", η: "n", ι: "i", κ: "k", μ: "m",
  ν: "v", ο: "o", ρ: "p", σ: "o", τ: "t", υ: "u", χ: "x", ω: "w", ı: "i", ɑ: "a", ɡ: "g", ɩ: "i", ո: "n", օ: "o", ս: "u",
  ᴀ: "a", ʙ: "b", ᴄ: "c", ᴅ: "d", ᴇ: "e", ꜰ: "f", ɢ: "g", ʜ: "h", ɪ: "i", ᴊ: "j", ᴋ: "k", ʟ: "l", ᴍ: "m", ɴ: "n", ᴏ: "o", ᴘ: "p",
  ǫ: "q", ʀ: "r", ꜱ: "s", ᴛ: "t", ᴜ: "u", ᴠ: "v", ᴡ: "w", ʏ: "y", ᴢ: "z",
};

const lookalike = new RegExp(`[${Object.keys(lookalikes).join("")}]`, "g");

export function withoutLookalikes(folded: string): string {
  return folded.replace(lookalike, (letter) => lookalikes[letter] ?? letter);
}
