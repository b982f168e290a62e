/** `perdure signal`, `query` and `update`: messages to a workflow. */
import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import type { Client } from "../../client/client.js";
import type { QueryFailedError, UpdateFailedError } from "../../client/message-failed.js";
import { PerdureError } from "../../errors.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { printJson, printLines, say, sayFault } from "../messages.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import type { Settings } from "../settings.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";
import { type InputOptions, inputOf, withInputOptions } from "../workflow-input.js";

interface MessageOptions extends FormatOptions, InputOptions {
  readonly id?: string;
}

interface Message {
  readonly workflowId: string;
  readonly name: string;
  readonly input: unknown;
  readonly id: string | undefined;
}

type Send = (client: Client, message: Message, settings: Settings) => Promise<unknown>;

export function addSignal(program: Command): void {
  const description = "send a signal to a workflow; it is on disk when this ends";
  addMessage(program, "signal", description, (client, { workflowId, name, input, id }) =>
    client.workflow(workflowId).signal(name, input, id === undefined ? {} : { signalId: id }),
  ).option("--id <id>", "the same id again is the same signal");
}

export function addQuery(program: Command): void {
  const description = "ask a workflow, open or closed, and print its answer";
  addMessage(program, "query", description, async (client, { workflowId, name, input }) => {
    try {
      return await client.workflow(workflowId).query(name, input);
    } catch (fault) {
      if (!(fault instanceof PerdureError) || fault.code !== "REQUEST_TIMED_OUT") throw fault;
      throw await withReason(client, workflowId, fault);
    }
  });
}

export function addUpdate(program: Command): void {
  const description = "change a workflow and print what came of it; --timeout bounds the wait";
  addMessage(program, "update", description, update).option("--id <id>", "the same id again is the same update");
}

function addMessage(program: Command, verb: string, description: string, send: Send): Command {
  const command = program
    .command(verb)
    .description(description)
    .argument("<workflowId>", "the workflow's id")
    .argument("<name>", `the ${verb}'s name`);
  return withFormatOptions(withInputOptions(command, "what it carries")).action(
    (workflowId: string, name: string, options: MessageOptions, given: Command) =>
      runVerb(given, async (settings): Promise<ExitStatus> => {
        const message = { workflowId, name, input: await inputOf(options), id: options.id };
        return await withClient(settings, async (client) => {
          try {
            const answer = await send(client, message, settings);
            if (formatOf(options) !== "text") printJson({ workflowId, output: answer ?? null });
            else if (answer !== undefined) printLines([JSON.stringify(answer, null, 2)]);
            return exitStatus.ok;
          } catch (fault) {
            return await sayRefusal(fault, workflowId);
          }
        });
      }),
  );
}

/** Refused is what changed nothing. An update that was accepted and then failed may have changed something. */
async function sayRefusal(fault: unknown, workflowId: string): Promise<ExitStatus> {
  const { QueryFailedError, UpdateFailedError } = await import("../../client/message-failed.js");
  if (!(fault instanceof QueryFailedError || fault instanceof UpdateFailedError)) throw fault;
  const { message, failure }: QueryFailedError | UpdateFailedError = fault;
  sayFault({ code: "REFUSED_BY_WORKFLOW", message, details: { workflowId, failure } });
  return "stage" in fault && fault.stage === "failed" ? exitStatus.taskFailed : exitStatus.refused;
}

const QUIET_MS = 2_000;

/** Waits as long as its handler takes, and says what that waits for. @throws PerdureError REQUEST_TIMED_OUT */
async function update(client: Client, message: Message, { timeoutMs }: Settings): Promise<unknown> {
  const { workflowId, name, input, id: updateId = randomUUID() } = message;
  const signal = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const again = `Ask again with --id ${updateId}.`;
  const tell = async (): Promise<void> => {
    say(`update ${name} of workflow ${workflowId} is not finished; the workflow ${await client.explain(workflowId)}`);
  };
  // Only for looking on: the update itself reports what is wrong.
  const timer = setTimeout(() => void tell().catch(() => undefined), QUIET_MS);
  try {
    const options = signal === undefined ? { updateId } : { updateId, signal };
    return await client.workflow(workflowId).update(name, input, options);
  } catch (fault) {
    if (signal?.aborted !== true || fault !== signal.reason) throw fault;
    const what = `update ${name} of workflow ${workflowId} was not finished within ${timeoutMs} ms, and may be later.`;
    const late = new PerdureError("REQUEST_TIMED_OUT", `${what} ${again}`, { details: { workflowId, updateId } });
    throw await withReason(client, workflowId, late);
  } finally {
    clearTimeout(timer);
  }
}

/** Nobody answered, and the workflow's own reason says who was missing. */
async function withReason(client: Client, workflowId: string, fault: PerdureError): Promise<PerdureError> {
  const reason = await client.explain(workflowId).catch(() => null);
  if (reason === null) return fault;
  const { code, message, details } = fault;
  return new PerdureError(code, `${message} Workflow ${workflowId} ${reason}.`, { details, cause: fault });
}
