/** Search attributes of runs: how they are set and taken away, and how lists find by them. */
import { z } from "zod";
import { SEARCH_NAMES_MAX } from "./limits.js";
import type { NamedValues } from "./workflow-options.js";

/** Equal to all of these; one that is a list has the value among its members. */
export const SearchFilter = z
  .record(z.string(), z.xor([z.string(), z.number(), z.boolean()]))
  .refine((wanted) => Object.keys(wanted).length <= SEARCH_NAMES_MAX, {
    error: `has more than ${SEARCH_NAMES_MAX} names`,
  })
  .meta({ maxProperties: SEARCH_NAMES_MAX });
export type SearchFilter = z.infer<typeof SearchFilter>;

/** What a run has afterwards: null takes a name away. */
export function upserted(before: NamedValues, given: NamedValues): NamedValues {
  return Object.fromEntries(Object.entries({ ...before, ...given }).filter(([, value]) => value !== null));
}

export function hasAttributes(attributes: NamedValues, wanted: SearchFilter): boolean {
  return Object.entries(wanted).every(([name, value]) => {
    const had = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    return Array.isArray(had) ? had.includes(value) : had === value;
  });
}
