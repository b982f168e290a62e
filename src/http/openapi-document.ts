import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The document as it lies in the package; test/http/openapi.test.ts holds that it is the one of this version. */
export async function readOpenapiDocument(): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve("perdure/package.json");
  return await readFile(join(dirname(manifest), "docs", "openapi.json"), "utf8");
}
