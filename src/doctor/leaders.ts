import type { Known } from "../jetstream/inspector.js";
import { known, notKnown } from "../jetstream/inspector.js";
import type { ServiceFacts } from "../jetstream/server-facts.js";
import { ServiceMetadata } from "../protocol/service-metadata.js";
import type { Facts } from "./facts.js";

/** Orchestrators that serve requests in the namespace: one, if all is well. Those that stand by are not seen. */
export function leadersOf({
  orchestrator,
  namespace,
}: Pick<Facts, "orchestrator" | "namespace">): Known<readonly ServiceFacts[]> {
  const { services } = orchestrator;
  if (!services.known) return services;
  const leaders = services.value.filter(({ metadata }) => metadata["namespace"] === namespace);
  if (leaders.length === 0 && orchestrator.status.known)
    return notKnown(
      "silent",
      "an orchestrator answers, and not when all services are called; how it is set is not known",
    );
  return known(leaders);
}

/** What the leader says of its settings; null where there is none, or it is too old to say. */
export function settingsOfLeader(facts: Facts): ServiceMetadata | null {
  const leaders = leadersOf(facts);
  const [leader] = leaders.known ? leaders.value : [];
  const parsed = ServiceMetadata.safeParse(leader?.metadata);
  return parsed.success ? parsed.data : null;
}
