/** `perdure signal`, `query` and `update`: messages to a workflow. */
import type { Command } from "commander";
import { QueryFailedError, type RunHandle, UpdateFailedError } from "../../client/run-handle.js";
import { type ExitStatus, exitStatus } from "../exit-status.js";
import { printJson, printLines, sayFault } from "../messages.js";
import { type FormatOptions, formatOf, withFormatOptions } from "../output-format.js";
import { runVerb } from "../verb.js";
import { withClient } from "../with-client.js";
import { type InputOptions, inputOf, withInputOptions } from "../workflow-input.js";

interface MessageOptions extends FormatOptions, InputOptions {
  readonly id?: string;
}

type Send = (handle: RunHandle, name: string, input: unknown, id: string | undefined) => Promise<unknown>;

export function addSignal(program: Command): void {
  addMessage(program, "signal", "send a signal to a workflow; it is on disk when this ends", (handle, name, input, id) =>
    handle.signal(name, input, id === undefined ? {} : { signalId: id }),
  ).option("--id <id>", "the same id again is the same signal");
}

export function addQuery(program: Command): void {
  addMessage(program, "query", "ask a workflow, open or closed, and print its answer", (handle, name, input) =>
    handle.query(name, input),
  );
}

export function addUpdate(program: Command): void {
  addMessage(program, "update", "change a workflow and print what came of it", (handle, name, input, id) =>
    handle.update(name, input, id === undefined ? {} : { updateId: id }),
  ).option("--id <id>", "the same id again is the same update");
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
        const input = await inputOf(options);
        return await withClient(settings, async (client) => {
          try {
            const answer = await send(client.workflow(workflowId), name, input, options.id);
            if (formatOf(options) !== "text") printJson({ workflowId, output: answer ?? null });
            else if (answer !== undefined) printLines([JSON.stringify(answer, null, 2)]);
            return exitStatus.ok;
          } catch (fault) {
            if (!(fault instanceof QueryFailedError || fault instanceof UpdateFailedError)) throw fault;
            sayFault({ code: "REFUSED_BY_WORKFLOW", message: fault.message, details: { failure: fault.failure } });
            return exitStatus.taskFailed;
          }
        });
      }),
  );
}
