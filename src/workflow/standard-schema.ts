/**
 * Any schema library that follows Standard Schema (https://standardschema.dev) describes values here: zod, valibot,
 * arktype. Only what is used of that interface is written down.
 */
export interface Schema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type Validated<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a value is before and after it was validated; anything at all where no schema was given. */
export type InputOf<S> = S extends Schema<infer Input, unknown> ? Input : unknown;
export type OutputOf<S> = S extends Schema<unknown, infer Output> ? Output : unknown;

export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

/** Holds a value against a schema; without one, everything is right. The message names each field that is wrong. */
export function check(schema: Schema | undefined, value: unknown): Checked<unknown> {
  if (schema === undefined) return { ok: true, value };
  const validated = schema["~standard"].validate(value);
  if (validated instanceof Promise) {
    // Zod tries asynchronously what threw at first, and it throws there again: that must not end the process.
    validated.catch(() => undefined);
    return {
      ok: false,
      message: "its schema threw, or validates asynchronously, which cannot be repeated from a history",
    };
  }
  if (validated.issues === undefined) return { ok: true, value: validated.value };
  return { ok: false, message: validated.issues.map(describe).join("; ") };
}

/**
 * An output as its reader's type has it. JSON knows no `undefined`, so where code gave nothing, null was recorded; it
 * is `undefined` again for a schema that takes that and no null: `z.void()`, `z.string().optional()`.
 */
export function readOutput(schema: Schema | undefined, recorded: unknown): unknown {
  if (recorded !== null || schema === undefined) return recorded;
  return !check(schema, null).ok && check(schema, undefined).ok ? undefined : null;
}

function describe({ message, path }: Issue): string {
  const name = (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  return name === "" ? message : `${name}: ${message}`;
}
