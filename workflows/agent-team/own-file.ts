import { fileURLToPath } from "node:url";

/** A file of this folder that is no code: the build leaves it in the sources, where it is also read from. */
export function ownFile(name: string): string {
  const folder = import.meta.url.replace("/dist/workflows/", "/workflows/");
  return fileURLToPath(new URL(name, folder));
}
