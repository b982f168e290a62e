/**
 * The team of a project, as a process:
 *
 *   NATS_URL=nats://127.0.0.1:4222 NATS_NAMESPACE=shop node dist/workflows/agent-team/worker.js --project /path/to/shop
 *
 * Prints `ready <project>` when reports are taken, and hands back what is in hand on SIGTERM and Ctrl-C. Ends with status 1
 * where another process takes its place, or its connection is lost for good.
 */
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { parseMemberOptions, runMember, UsageError } from "./main-options.js";
import { startTeam } from "./team.js";

await runMember("agent-team", async () => {
  const { names, servers, project } = parseMemberOptions(process.argv.slice(2), process.env);
  if (project === undefined)
    throw new UsageError("--project is needed: the folder of the project that errors are reported of");
  const projectFolder = resolve(project);
  if (!(await stat(projectFolder).catch(() => null))?.isDirectory())
    throw new UsageError(`${projectFolder} is no folder`);
  const team = await startTeam({ names, servers, projectFolder, onFault: (fault) => console.error(fault) });
  console.log(`ready ${names.project}`);
  try {
    await Promise.race([...["SIGTERM", "SIGINT"].map((signal) => once(process, signal)), team.ended]);
  } finally {
    await team.stop();
  }
});
