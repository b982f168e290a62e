import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { type Program, parseSync, Visitor, type VisitorObject } from "oxc-parser";

/**
 * The project's own sources as data, for the rules that test/tidy.test.ts holds against them. Parsed
 * with a real parser, so that a comment or a string that looks like an import is not taken for one.
 */
export interface SourceFile {
  /** From the root of the repository, with forward slashes: `src/protocol/ids.ts`. */
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  readonly imports: readonly Import[];
  /** Offsets where comments begin, in order. */
  readonly commentStarts: readonly number[];
}

export interface Import {
  readonly specifier: string;
  /** The file a relative specifier means, from the root of the repository; null for a package. */
  readonly target: string | null;
  /** True where nothing of it is left at run time. */
  readonly typeOnly: boolean;
  readonly offset: number;
}

export interface Violation {
  readonly path: string;
  readonly line: number;
  /** What is wrong and what to do about it, in one or two sentences. */
  readonly sentence: string;
}

const repositoryRoot = fileURLToPath(new URL("../..", import.meta.url));

export function readRepositoryFile(path: string): string {
  return readFileSync(posix.join(repositoryRoot, path), "utf8");
}

export function repositoryFileNames(folder: string): string[] {
  return readdirSync(posix.join(repositoryRoot, folder)).sort();
}

export function repositoryHas(path: string): boolean {
  return existsSync(posix.join(repositoryRoot, path));
}

export function readSources(...folders: readonly string[]): SourceFile[] {
  return folders.flatMap(pathsUnder).map((path) => parseSource(path, readRepositoryFile(path)));
}

export function parseSource(path: string, text: string): SourceFile {
  const { program, errors, comments } = parseSync(path, text);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path} does not parse: ${error.message}`);
  return { path, text, program, imports: importsOf(path, program), commentStarts: comments.map(({ start }) => start) };
}

export function visit(source: SourceFile, visitor: VisitorObject): void {
  new Visitor(visitor).visit(source.program);
}

export function violation(source: SourceFile, offset: number, sentence: string): Violation {
  const line = source.text.slice(0, offset).split("\n").length;
  return { path: source.path, line, sentence };
}

function pathsUnder(folder: string): string[] {
  if (!existsSync(posix.join(repositoryRoot, folder))) return [];
  return readdirSync(posix.join(repositoryRoot, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => posix.join(folder, name.replaceAll("\\", "/")))
    .sort();
}

function importsOf(path: string, program: Program): Import[] {
  const found: Import[] = [];
  const add = (specifier: string, offset: number, typeOnly: boolean): void => {
    const target = specifier.startsWith(".")
      ? posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts")
      : null;
    found.push({ specifier, target, typeOnly, offset });
  };
  new Visitor({
    ImportDeclaration(node) {
      const everyNameIsAType =
        node.specifiers.length > 0 &&
        node.specifiers.every((name) => name.type === "ImportSpecifier" && name.importKind === "type");
      add(node.source.value, node.start, node.importKind === "type" || everyNameIsAType);
    },
    ExportNamedDeclaration(node) {
      if (node.source !== null) add(node.source.value, node.start, node.exportKind === "type");
    },
    ExportAllDeclaration(node) {
      add(node.source.value, node.start, node.exportKind === "type");
    },
    ImportExpression(node) {
      if (node.source.type === "Literal" && typeof node.source.value === "string") {
        add(node.source.value, node.start, false);
      }
    },
    TSImportType(node) {
      add(node.source.value, node.start, true);
    },
    // A module that is started as a process or a worker thread: new URL("./child.js", import.meta.url).
    NewExpression(node) {
      const [first] = node.arguments;
      if (node.callee.type !== "Identifier" || node.callee.name !== "URL" || first?.type !== "Literal") return;
      if (typeof first.value === "string" && /^\.\.?\/.*\.js$/.test(first.value)) add(first.value, node.start, false);
    },
  }).visit(program);
  return found;
}
