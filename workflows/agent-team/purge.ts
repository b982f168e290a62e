/**
 * A deployment's step: `NATS_NAMESPACE=shop node dist/workflows/agent-team/purge.js --environment production`.
 */
import { connectFleet } from "perdure/bridges";
import { deployed, purgeOnDeployment } from "./deployment.js";
import { parseMemberOptions, runMember, UsageError } from "./main-options.js";

await runMember("purge", async () => {
  const { names, servers, environment } = parseMemberOptions(process.argv.slice(2), process.env);
  const target = deployed.find((known) => known === environment);
  if (target === undefined) throw new UsageError(`--environment must be ${deployed.join(" or ")}`);
  const fleet = await connectFleet({ servers, name: `deployment of ${names.project}` });
  try {
    const purged = await purgeOnDeployment(fleet, names, target);
    console.log(`${purged} reports purged from ${names.streams.errors[target]}; errors are new from here on`);
  } finally {
    await fleet.close();
  }
});
