/** Topologies from a file: every export of a module that is one, or the one that a JSON file has. */
import { PerdureError } from "../errors.js";
import { topologyFrom } from "../jetstream/define-topology.js";
import type { DeclaredTopology } from "../protocol/topology-declaration.js";
import { parseJson, readSource } from "./json-input.js";
import { exportsOf } from "./module-file.js";

/** @throws PerdureError USAGE where the file has no topology, INVALID_TOPOLOGY where it has one that breaks a rule */
export async function loadTopologies(file: string): Promise<readonly DeclaredTopology[]> {
  if (file.endsWith(".json")) return [topologyInJson(file, parseJson(await readSource(file)))];
  const topologies = [...new Set((await topologyModule(file)).filter(isTopology))].map(checked);
  if (topologies.length > 0) return topologies;
  throw new PerdureError("USAGE", `${file} exports no topology; it takes: export const x = defineTopology("x", {…})`, {
    details: { file },
  });
}

/** What a declaration is refused for is said as such, not as a module that cannot be loaded. */
async function topologyModule(file: string): Promise<readonly unknown[]> {
  try {
    return await exportsOf(file);
  } catch (fault) {
    const cause = fault instanceof PerdureError ? fault.cause : undefined;
    throw cause instanceof PerdureError && cause.code === "INVALID_TOPOLOGY" ? cause : fault;
  }
}

function topologyInJson(file: string, value: unknown): DeclaredTopology {
  if (typeof value === "object" && value !== null && "name" in value) {
    const { name, ...declaration } = value;
    return topologyFrom(name, declaration);
  }
  throw new PerdureError(
    "USAGE",
    `${file} has no topology; it takes {"name": …, "streams": {…}, "consumers": {…}, "buckets": {…}}`,
    { details: { file } },
  );
}

function isTopology(value: unknown): value is DeclaredTopology {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "topology";
}

/** It may have been made by another version of this package, or by none. */
function checked({ name, streams, consumers, buckets }: DeclaredTopology): DeclaredTopology {
  return topologyFrom(name, { streams, consumers, buckets });
}
