/** Ends what tests have started, whether or not they wait for it. */
import { readdir, readFile } from "node:fs/promises";

/** In the environment of all that a run of tests starts, so that it is found also where it has left the group. */
export const markVariable = "AGENT_TEAM_RUN";

/** Nothing happens where nobody of the group is left. */
export function endGroup(leader: number | undefined): void {
  if (leader !== undefined) endNow(-leader);
}

/** Linux tells of each process what it was given; elsewhere only the group is ended. */
export async function endMarked(mark: string): Promise<void> {
  if (process.platform !== "linux") return;
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  await Promise.all(
    pids.map(async (pid) => {
      // Processes of others, and those that have ended meanwhile.
      const environment = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
      if (environment.includes(`${markVariable}=${mark}`)) endNow(Number(pid));
    }),
  );
}

function endNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== "ESRCH") throw fault;
  }
}
