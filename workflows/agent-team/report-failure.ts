/** What a continuous integration does: runs a project's tests, and reports the first failure as the fleet does. */

import type { ErrorReport } from "./messages.js";
import { runTests } from "./project/run-tests.js";
import { isTestFile } from "./project/source-place.js";

/** Null where every test passes, or none fails in the project's own code. */
export async function firstFailureOf(projectFolder: string, signal: AbortSignal): Promise<ErrorReport | null> {
  const { failures } = await runTests(projectFolder, { signal });
  for (const { error, stack, places } of failures) {
    const place = places.find(({ file }) => !isTestFile(file));
    if (place === undefined) continue;
    const timestamp = new Date().toISOString();
    return { error, stack: `${error}\n${stack.replaceAll(/^/gm, "    at ")}`, timestamp, context: { ...place } };
  }
  return null;
}
