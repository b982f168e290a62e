/** Parameters of a path and of a query, which are texts, against the schemas that their values have in JSON. */
import { z } from "zod";
import { PerdureError } from "../errors.js";
import { parseMessage } from "../protocol/parse.js";

export type ParameterShape = Readonly<Record<string, z.ZodType>>;

export interface GivenParameters {
  readonly pathParameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

/** @throws PerdureError INVALID_ID or INVALID_MESSAGE; for a name nobody knows too, which is most often a mistyped filter */
export function readParameters<P extends ParameterShape>(
  shape: P,
  { pathParameters, query }: GivenParameters,
): z.infer<z.ZodObject<P>> {
  const given: Record<string, unknown> = { ...pathParameters };
  for (const name of new Set(query.keys())) {
    const schema = Object.hasOwn(shape, name) && !Object.hasOwn(given, name) ? shape[name] : undefined;
    if (schema === undefined) throw unknownParameter(name, Object.keys(shape));
    given[name] = fromTexts(schema, query.getAll(name));
  }
  const parsed = parseMessage(z.object(shape), given);
  if (parsed.ok) return parsed.value;
  const { code, message, fields } = parsed.failure;
  throw new PerdureError(code, `the request's parameters cannot be used: ${message}; nothing was done`, {
    details: { fields },
  });
}

/** What does not look like its kind stays a text, and its schema says what is wrong with it. */
function fromTexts(schema: z.ZodType, texts: readonly string[]): unknown {
  const bare = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
  if (bare instanceof z.ZodArray) return texts;
  if (texts.length > 1) return texts;
  const [text = ""] = texts;
  return bare instanceof z.ZodNumber && /^-?\d{1,16}$/.test(text) ? Number(text) : text;
}

function unknownParameter(name: string, known: readonly string[]): PerdureError {
  const there = known.length === 0 ? "takes none" : `takes ${known.join(", ")}`;
  return new PerdureError(
    "INVALID_MESSAGE",
    `the request has a parameter "${name}", and this operation ${there}; nothing was done`,
    { details: { fields: [name] } },
  );
}
