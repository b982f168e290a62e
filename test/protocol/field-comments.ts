/**
 * What the comments of src/protocol say about each schema and its fields, by the names in the source: the descriptions
 * of the JSON Schemas come from here. So a field is explained once, where the editor shows it too, and nothing of it is
 * there at run time.
 */
import type { Expression, ObjectExpression } from "oxc-parser";
import { parseSync, Visitor } from "oxc-parser";
import { readRepositoryFile, repositoryFileNames } from "../support/source-file.js";

/** A schema as its source describes it. */
export interface Described {
  readonly comment: string | null;
  /** Present where the schema is an object. */
  readonly fields: ReadonlyMap<string, Described> | null;
}

interface Comment {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** By the name of the constant. */
export function readFieldComments(): ReadonlyMap<string, Described> {
  const found = new Map<string, Described>();
  const files = repositoryFileNames("src/protocol").map((name) => `src/protocol/${name}`);
  const sources = new Map(files.map((path) => [path, new SchemaSource(path)]));
  const lookUp = (name: string): Described | null => {
    const known = found.get(name);
    if (known !== undefined) return known;
    for (const source of sources.values()) {
      const described = source.describe(name, lookUp);
      if (described !== null) {
        found.set(name, described);
        return described;
      }
    }
    return null;
  };
  for (const source of sources.values()) for (const name of source.names) lookUp(name);
  return found;
}

/** One file: its constants, and which doc comment stands before which offset. */
class SchemaSource {
  readonly #text: string;
  readonly #docs: readonly Comment[];
  readonly #constants = new Map<string, { readonly start: number; readonly value: Expression }>();

  constructor(path: string) {
    this.#text = readRepositoryFile(path);
    const { program, comments } = parseSync(path, this.#text);
    this.#docs = comments
      .filter(({ type, value }) => type === "Block" && value.startsWith("*"))
      .map(({ start, end, value }) => ({ start, end, text: plainText(value) }));
    for (const statement of program.body) {
      const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
      if (declaration?.type !== "VariableDeclaration") continue;
      for (const { id, init } of declaration.declarations) {
        if (id.type === "Identifier" && init !== null) {
          this.#constants.set(id.name, { start: statement.start, value: init });
        }
      }
    }
  }

  get names(): Iterable<string> {
    return this.#constants.keys();
  }

  describe(name: string, lookUp: (name: string) => Described | null): Described | null {
    const constant = this.#constants.get(name);
    if (constant === undefined) return null;
    const { comment, fields } = this.#describeValue(constant.value, lookUp);
    return { comment: this.#commentBefore(constant.start) ?? comment, fields };
  }

  /** What the expression is made from: an object written out there, or the schema it names, whatever is called on it. */
  #describeValue(value: Expression, lookUp: (name: string) => Described | null): Described {
    const { object, named } = firstSchemaIn(value);
    if (object !== null) return { comment: null, fields: this.#describeFields(object, lookUp) };
    return (named === null ? null : lookUp(named)) ?? { comment: null, fields: null };
  }

  #describeFields(object: ObjectExpression, lookUp: (name: string) => Described | null): Map<string, Described> {
    const fields = new Map<string, Described>();
    for (const property of object.properties) {
      if (property.type === "SpreadElement") {
        const spread = property.argument.type === "Identifier" ? lookUp(property.argument.name) : null;
        for (const [name, described] of spread?.fields ?? []) fields.set(name, described);
      } else if (property.key.type === "Identifier") {
        const described = this.#describeValue(property.value, lookUp);
        const comment = this.#commentBefore(property.start) ?? described.comment;
        fields.set(property.key.name, { comment, fields: described.fields });
      }
    }
    return fields;
  }

  /** The doc comment with nothing but blanks and line comments between its end and `offset`. */
  #commentBefore(offset: number): string | null {
    const before = this.#docs.findLast(({ end }) => end <= offset);
    if (before === undefined) return null;
    const between = this.#text.slice(before.end, offset).replace(/\/\/.*$/gm, "");
    return between.trim() === "" ? before.text : null;
  }
}

/** The first object literal or capitalised name within an expression: `z.array(TaskView)` is about TaskView. */
function firstSchemaIn(value: Expression): { readonly object: ObjectExpression | null; readonly named: string | null } {
  if (value.type === "ObjectExpression") return { object: value, named: null };
  const found: { object: ObjectExpression | null; named: string | null } = { object: null, named: null };
  const isFirst = (): boolean => found.object === null && found.named === null;
  new Visitor({
    ObjectExpression(node) {
      if (isFirst() && node.properties.length > 0) found.object = node;
    },
    Identifier(node) {
      if (isFirst() && (/^[A-Z][a-z]/.test(node.name) || node.name === "envelopeFields")) found.named = node.name;
    },
  }).visit({ type: "Program", body: [asStatement(value)], sourceType: "module", hashbang: null, start: 0, end: 0 });
  return found;
}

function asStatement(expression: Expression) {
  const { start, end } = expression;
  return { type: "ExpressionStatement", expression, start, end } as const;
}

function plainText(block: string): string {
  return block
    .split("\n")
    .map((line) => line.replace(/^\s*\*+\s?/, "").trim())
    .join(" ")
    .trim();
}
