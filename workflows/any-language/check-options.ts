/** What the author of an agent tells the conformance check about it. */
import { parseArgs } from "node:util";

export interface CheckOptions {
  /** A type of task that the agent does. */
  readonly type: string;
  readonly input: unknown;
  /** The output it has to give; undefined: any. */
  readonly expected?: unknown;
  /** With this one the task takes a few seconds. */
  readonly slowInput?: unknown;
  /** With this one the task has to fail. */
  readonly badInput?: unknown;
  readonly namespace: string;
  /** Where the agent finds its server; 0 takes a free port. */
  readonly port: number;
  /** Rules whose name contains this; empty for all. */
  readonly only: string;
  /** How to start the agent; empty where its author starts it. */
  readonly command: readonly string[];
}

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const checkHelp = `Usage: node dist/workflows/any-language/check-agent.js --type TYPE [options] [-- COMMAND...]

Checks an agent, in whatever language, against the rules of docs/wire-protocol.md: it gets a nats-server, an
orchestrator that is killed, one that is played and misbehaves, a connection that breaks. Takes about two minutes.

  --type TYPE        a type of task that the agent does
  --input JSON       its input (default: none)
  --expect JSON      the output for that input (default: any will do)
  --slow-input JSON  an input with which it takes about three seconds; half of the rules need it
  --bad-input JSON   an input with which the task has to fail
  --only TEXT        just the rules whose name contains this text
  --namespace NAME   the agent's namespace (default: mcp)
  --port N           where the agent finds its server (default: a free port)
  -- COMMAND...      starts the agent; {url}, {host}, {port} and {namespace} in it are replaced, and NATS_URL
                     and PERDURE_NAMESPACE are set. Without it you are told where to point yours
  --help             print this

Exit status: 0 every rule that must be kept is kept, 1 one is broken or none could be checked, 2 usage.
`;

/** @throws UsageError */
export function parseCheckOptions(args: readonly string[]): CheckOptions | { readonly help: true } {
  const end = args.indexOf("--");
  const command = end === -1 ? [] : args.slice(end + 1);
  const values = parsedValues(end === -1 ? args : args.slice(0, end));
  if (values.help === true) return { help: true };
  if (values.type === undefined) throw new UsageError("--type is needed: a type of task that the agent does");
  const port = Number(values.port ?? "0");
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageError(`--port ${values.port} is no port`);
  return {
    type: values.type,
    input: jsonOf("--input", values.input),
    expected: jsonOf("--expect", values.expect),
    slowInput: jsonOf("--slow-input", values["slow-input"]),
    badInput: jsonOf("--bad-input", values["bad-input"]),
    namespace: values.namespace ?? "mcp",
    only: values.only ?? "",
    port,
    command,
  };
}

function parsedValues(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = {
    ...{ type: text, input: text, expect: text, "slow-input": text, "bad-input": text },
    ...{ only: text, namespace: text, port: text },
    help: { type: "boolean" },
  } as const;
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function jsonOf(option: string, text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${option} is no JSON: ${text}`, { cause });
  }
}
