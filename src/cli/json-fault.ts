/**
 * Where a text stops being JSON. JSON.parse says so for some mistakes only, and in words that change with Node; whoever
 * mistyped a comma needs the place.
 */
export interface JsonFault {
  /** Of the first character that cannot be where it is; the text's length if the text ends too early. */
  readonly offset: number;
  readonly expected: string;
}

const blank = /[ \t\n\r]*/y;
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const scalar = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

type Expectation = "value" | "valueOrEnd" | "key" | "keyOrEnd" | "colon" | "commaOrEnd";

/** Null for a text that is JSON. */
export function findJsonFault(text: string): JsonFault | null {
  const open: ("{" | "[")[] = [];
  let expectation: Expectation = "value";
  let offset = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = offset;
    if (!pattern.test(text)) return false;
    offset = pattern.lastIndex;
    return true;
  };
  const takeCharacter = (character: string): boolean => {
    if (text[offset] !== character) return false;
    offset += 1;
    return true;
  };
  const close = (): boolean => {
    if (!takeCharacter(open.at(-1) === "{" ? "}" : "]")) return false;
    open.pop();
    expectation = "commaOrEnd";
    return true;
  };
  for (;;) {
    take(blank);
    const innermost = open.at(-1);
    if (expectation === "commaOrEnd") {
      if (innermost === undefined) return offset === text.length ? null : { offset, expected: "nothing more" };
      if (takeCharacter(",")) expectation = innermost === "{" ? "key" : "value";
      else if (!close()) return { offset, expected: innermost === "{" ? '"," or "}"' : '"," or "]"' };
    } else if (expectation === "colon") {
      if (!takeCharacter(":")) return { offset, expected: '":"' };
      expectation = "value";
    } else if (expectation === "key" || expectation === "keyOrEnd") {
      if (take(string)) expectation = "colon";
      else if (expectation === "key" || !close()) return { offset, expected: "a name in double quotes" };
    } else if (takeCharacter("{")) {
      open.push("{");
      expectation = "keyOrEnd";
    } else if (takeCharacter("[")) {
      open.push("[");
      expectation = "valueOrEnd";
    } else if (take(string) || take(scalar)) {
      expectation = "commaOrEnd";
    } else if (expectation === "value" || !close()) {
      return { offset, expected: "a value" };
    }
  }
}
