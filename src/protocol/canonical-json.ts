/**
 * JSON with the members of every object in the order of their names, so that equal values are equal texts
 * (the idea of RFC 8785, without its rules for numbers, which JSON.stringify follows already).
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
