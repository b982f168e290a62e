import { createRequire } from "node:module";
import { z } from "zod";

/** The version in package.json, found by the package's own name: the same from sources and from the build. */
export const version: string = z
  .object({ version: z.string() })
  .parse(createRequire(import.meta.url)("perdure/package.json")).version;
