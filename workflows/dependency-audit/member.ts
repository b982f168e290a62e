/** What the agents' and the workers' processes share: their options, and how they say that they are ready or why not. */
import { parseArgs } from "node:util";
import { type Agent, PerdureError } from "perdure";

const usageStatus = 2;

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface MemberOptions {
  readonly id: string;
  readonly server: string;
  readonly namespace: string;
  readonly capabilities: string | undefined;
}

/** Resolves when the member has ended; a fault is told on stderr and becomes the exit status. */
export async function runMember(kind: string, start: (options: MemberOptions) => Promise<Agent>): Promise<void> {
  try {
    const options = parseOptions(process.argv.slice(2));
    const member = await start(options);
    process.stdout.write(`registered ${options.id}\n`);
    await member.closed;
  } catch (fault) {
    const isUsage = fault instanceof UsageError;
    const expected = isUsage || fault instanceof PerdureError;
    const text = fault instanceof Error ? (expected ? fault.message : (fault.stack ?? fault.message)) : String(fault);
    process.stderr.write(`${kind}: ${text}\n`);
    process.exitCode = isUsage ? usageStatus : 1;
  }
}

function parseOptions(args: readonly string[]): MemberOptions {
  const text = { type: "string" } as const;
  const options = { id: text, capabilities: text, server: text, namespace: text };
  const { id, capabilities, server, namespace } = parsedValues(() => parseArgs({ args: [...args], options }).values);
  if (id === undefined) throw new UsageError("--id is needed");
  return { id, capabilities, server: server ?? "nats://127.0.0.1:4222", namespace: namespace ?? "mcp" };
}

function parsedValues<Values>(parse: () => Values): Values {
  try {
    return parse();
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
