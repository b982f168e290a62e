/**
 * Where a text stops being JSON. JSON.parse says so for some mistakes only, and in words that change with Node; whoever
 * mistyped a comma needs the place.
 */
export interface JsonFault {
  /** Of the first character that cannot be where it is; the text's length if the text ends too early. */
  readonly offset: number;
  readonly expected: string;
}

type Place = "value" | "firstElement" | "firstName" | "name" | "colon" | "afterElement" | "afterMember" | "afterAll";

interface Step {
  readonly token: RegExp;
  /** Where the text goes on; a value that is over goes on after itself, wherever it was. */
  readonly next: Place | "afterValue";
  readonly nesting?: "openObject" | "openArray" | "close";
}

const blank = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside a string.
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const scalar = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

const startsOfValue: readonly Step[] = [
  { token: string, next: "afterValue" },
  { token: scalar, next: "afterValue" },
  { token: /\{/y, next: "firstName", nesting: "openObject" },
  { token: /\[/y, next: "firstElement", nesting: "openArray" },
];
const endOfArray: Step = { token: /\]/y, next: "afterValue", nesting: "close" };
const endOfObject: Step = { token: /\}/y, next: "afterValue", nesting: "close" };

const places: Readonly<Record<Place, { readonly expected: string; readonly steps: readonly Step[] }>> = {
  value: { expected: "a value", steps: startsOfValue },
  firstElement: { expected: 'a value or "]"', steps: [...startsOfValue, endOfArray] },
  firstName: { expected: 'a name in double quotes or "}"', steps: [{ token: string, next: "colon" }, endOfObject] },
  name: { expected: "a name in double quotes", steps: [{ token: string, next: "colon" }] },
  colon: { expected: '":"', steps: [{ token: /:/y, next: "value" }] },
  afterElement: { expected: '"," or "]"', steps: [{ token: /,/y, next: "value" }, endOfArray] },
  afterMember: { expected: '"," or "}"', steps: [{ token: /,/y, next: "name" }, endOfObject] },
  afterAll: { expected: "nothing more", steps: [] },
};

/** Null for a text that is JSON. */
export function findJsonFault(text: string): JsonFault | null {
  /** Of each object and array that is open: where its text goes on after a value. */
  const open: Place[] = [];
  let place: Place = "value";
  let offset = endOfMatch(blank, text, 0) ?? 0;
  for (;;) {
    const taken = stepAt(place, text, offset);
    if (taken === undefined) {
      const isOver = place === "afterAll" && offset === text.length;
      return isOver ? null : { offset, expected: places[place].expected };
    }
    const { step, end } = taken;
    if (step.nesting === "openObject") open.push("afterMember");
    else if (step.nesting === "openArray") open.push("afterElement");
    else if (step.nesting === "close") open.pop();
    place = step.next === "afterValue" ? (open.at(-1) ?? "afterAll") : step.next;
    offset = endOfMatch(blank, text, end) ?? end;
  }
}

function stepAt(place: Place, text: string, offset: number): { readonly step: Step; readonly end: number } | undefined {
  for (const step of places[place].steps) {
    const end = endOfMatch(step.token, text, offset);
    if (end !== undefined) return { step, end };
  }
  return undefined;
}

function endOfMatch(sticky: RegExp, text: string, offset: number): number | undefined {
  sticky.lastIndex = offset;
  return sticky.test(text) ? sticky.lastIndex : undefined;
}
