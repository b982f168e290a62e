/** How people write what they search for, on a command line and in a URL. Without schemas, which cost a start-up time. */
import { SEARCH_NAMES_MAX } from "./limits.js";
import type { SearchFilter } from "./search-attributes.js";

type SearchTerms =
  | { readonly ok: true; readonly wanted: SearchFilter }
  | { readonly ok: false; readonly message: string };

/** `name=value` as people write it: what is JSON of a number, a boolean or a text is that, anything else is a text. */
export function searchTermsOf(terms: readonly string[]): SearchTerms {
  const wanted = new Map<string, SearchFilter[string]>();
  for (const term of terms) {
    const at = term.indexOf("=");
    if (at < 1) return { ok: false, message: `"${term}" is not of the form name=value` };
    const name = term.slice(0, at);
    if (wanted.has(name)) return { ok: false, message: `"${name}" is named twice, and one value is looked for` };
    const value = valueIn(term.slice(at + 1));
    if (typeof value === "object") {
      const hint = "a number, true, false or a text, which may stand in quotation marks";
      return { ok: false, message: `"${term}" has a value that nothing is equal to; give ${hint}` };
    }
    wanted.set(name, value);
  }
  if (wanted.size > SEARCH_NAMES_MAX)
    return { ok: false, message: `${wanted.size} names are given, and ${SEARCH_NAMES_MAX} can be looked for at once` };
  return { ok: true, wanted: Object.fromEntries(wanted) };
}

function valueIn(text: string): string | number | boolean | object | null {
  try {
    return JSON.parse(text) as string | number | boolean | object | null;
  } catch {
    // Most are texts without quotation marks.
    return text;
  }
}
