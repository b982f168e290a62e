/** As much of YAML as our manifests use: blocks of maps and lists, plain and quoted scalars. Anything else is an error. */
export type Yaml = string | readonly Yaml[] | { readonly [key: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
}

export function readManifests(text: string): readonly Yaml[] {
  return text.split(/^---$/m).map((document) => {
    const lines = document
      .split("\n")
      .filter((line) => line.trim() !== "" && !line.trim().startsWith("#"))
      .map((line) => ({ indent: line.length - line.trimStart().length, text: line.trim() }));
    const value = readBlock(lines);
    if (lines.length > 0) throw new Error(`cannot read from: ${lines[0]?.text}`);
    return value;
  });
}

/** What lies under a path of keys and list positions. @throws Error where there is nothing */
export function at(value: Yaml | undefined, ...path: readonly string[]): Yaml {
  const [key, ...rest] = path;
  if (value === undefined) throw new Error("there is nothing");
  if (key === undefined) return value;
  if (typeof value === "string") throw new Error(`${key} is asked of "${value}"`);
  return at((value as Readonly<Record<string, Yaml>>)[key], ...rest);
}

/** Takes the lines of one block from the front. */
function readBlock(lines: Line[]): Yaml {
  const [first] = lines;
  if (first === undefined) throw new Error("a block without a line");
  return first.text.startsWith("- ") ? readList(lines, first.indent) : readMap(lines, first.indent);
}

function readList(lines: Line[], indent: number): readonly Yaml[] {
  const items: Yaml[] = [];
  for (let line = lines[0]; line?.indent === indent && line.text.startsWith("- "); line = lines[0]) {
    // An item is a block of its own, two columns further in.
    lines[0] = { indent: indent + 2, text: line.text.slice(2) };
    items.push(readBlock(lines));
  }
  return items;
}

function readMap(lines: Line[], indent: number): Yaml {
  const entries: [string, Yaml][] = [];
  for (let line = lines[0]; line?.indent === indent; line = lines[0]) {
    const parts = /^([A-Za-z]+):(?: (.+))?$/.exec(line.text);
    if (parts === null) throw new Error(`neither key nor item: ${line.text}`);
    lines.shift();
    const [, key = "", scalar] = parts;
    entries.push([key, scalar === undefined ? readBlock(lines) : readScalar(scalar)]);
  }
  return Object.fromEntries(entries);
}

function readScalar(text: string): Yaml {
  if (text.startsWith("[") || text.startsWith('"')) return JSON.parse(text) as Yaml;
  if (/^[{&*|>%@`]|: | #/.test(text)) throw new Error(`a scalar that would need quotes: ${text}`);
  return text;
}
