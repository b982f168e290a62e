/** What a process of the team is told by its environment and its options. */
import { parseArgs } from "node:util";
import { NamespaceError, namesFromEnvironment, type TeamNames } from "./names.js";

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface MemberOptions {
  readonly names: TeamNames;
  readonly servers: string;
  readonly project: string | undefined;
  readonly environment: string | undefined;
}

/** NATS_NAMESPACE or PROJECT_NAME names the project, NATS_URL the server. @throws UsageError */
export function parseMemberOptions(args: readonly string[], env: NodeJS.ProcessEnv): MemberOptions {
  const text = { type: "string" } as const;
  try {
    const { project, environment } = parseArgs({
      args: [...args],
      options: { project: text, environment: text },
    }).values;
    const servers = env["NATS_URL"] || "nats://localhost:4222";
    return { names: namesFromEnvironment(env), servers, project, environment };
  } catch (cause) {
    if (cause instanceof NamespaceError || cause instanceof TypeError) throw new UsageError(cause.message, { cause });
    throw cause;
  }
}

const usageStatus = 2;

/** Ends the process with a sentence on stderr where `run` fails for a reason that is known; with the stack where not. */
export async function runMember(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (fault) {
    const isExpected =
      fault instanceof UsageError || fault instanceof NamespaceError || (fault instanceof Error && "code" in fault);
    console.error(`${name}: ${fault instanceof Error ? (isExpected ? fault.message : fault.stack) : String(fault)}`);
    process.exitCode = fault instanceof UsageError ? usageStatus : 1;
  }
}
