/** Tells those who asked a run something what became of it: by an effect, for nobody need be there any more. */
import type { AskedOutcome } from "../../machines/effect.js";
import type { ActivationAnswer } from "../../protocol/activation.js";
import type { Failure } from "../../protocol/failure.js";
import type { RunId, WorkflowId } from "../../protocol/ids.js";
import type { RunRecord } from "../../protocol/run-record.js";
import type { Ledger } from "../ledger.js";
import type { RunInbox } from "./run-inbox.js";

export class RunReplies {
  readonly #ledger: Ledger;
  readonly #inbox: RunInbox;

  constructor(ledger: Ledger, inbox: RunInbox) {
    this.#ledger = ledger;
    this.#inbox = inbox;
  }

  /** What a worker said to updates and queries. */
  tell(record: RunRecord, answer: ActivationAnswer): void {
    const decided: string[] = [];
    for (const command of answer.commands) {
      switch (command.type) {
        case "RejectUpdate":
          decided.push(command.updateId);
          this.#reply(record, command.updateId, { state: "rejected", failure: command.failure });
          break;
        case "AcceptUpdate":
          decided.push(command.updateId);
          this.#reply(record, command.updateId, { state: "accepted" });
          break;
        case "CompleteUpdate":
          this.#reply(record, command.updateId, outcomeOf(command));
      }
    }
    this.#inbox.settle(record.runId, { updateIds: decided });
    this.tellQueries(record, answer);
  }

  tellQueries(record: RunRecord, { queries }: ActivationAnswer): void {
    for (const query of queries) this.#reply(record, query.queryId, outcomeOf(query));
    this.#inbox.settle(record.runId, { queryIds: queries.map(({ queryId }) => queryId) });
  }

  /** Queries that the run's code will not answer. */
  failQueries(record: RunRecord, failure: Failure): void {
    const left = this.#inbox.askedOf(record.runId).queries.map(({ queryId }) => queryId);
    for (const queryId of left) this.#reply(record, queryId, { state: "failed", failure });
    this.#inbox.settle(record.runId, { queryIds: left });
  }

  /** Nobody will finish an update that a closed run had accepted, unless the run in its place has it. */
  giveUpAccepted(record: RunRecord, inItsPlace?: RunRecord): void {
    const { runId, spec, updates } = record;
    const goesOn = (id: string): boolean =>
      inItsPlace !== undefined && (Object.hasOwn(inItsPlace.updates, id) || Object.hasOwn(inItsPlace.admitted, id));
    for (const [updateId, { state }] of Object.entries(updates)) {
      if (state === "accepted" && !goesOn(updateId))
        this.#reply(record, updateId, unfinishedUpdate(spec.workflowId, runId, updateId));
    }
  }

  /** Of a run that has ended, or has made way for another: its code will not see these. */
  dismiss(workflowId: WorkflowId, runId: RunId): void {
    const { updates, queries } = this.#inbox.askedOf(runId);
    const askedIds = [...updates.map(({ updateId }) => updateId), ...queries.map(({ queryId }) => queryId)];
    this.#inbox.settle(runId, { updateIds: askedIds, queryIds: askedIds });
    const message = `run ${runId} of workflow ${workflowId} closed before it saw this; ask again.`;
    for (const id of askedIds) this.#say(workflowId, id, { state: "runClosed", message });
  }

  #reply({ spec }: RunRecord, id: string, outcome: AskedOutcome): void {
    this.#say(spec.workflowId, id, outcome);
  }

  #say(workflowId: WorkflowId, id: string, outcome: AskedOutcome): void {
    this.#ledger.ask({ kind: "answerAsked", askedId: `${workflowId}/${id}`, outcome });
  }
}

/** Of an update that a run had accepted and closed on: asking again changes nothing. Temporal's word for it. */
export function unfinishedUpdate(
  workflowId: WorkflowId,
  runId: RunId,
  updateId: string,
): Extract<AskedOutcome, { state: "failed" }> {
  const message = `run ${runId} of workflow ${workflowId} closed before it had finished update ${updateId}.`;
  return { state: "failed", failure: { type: "AcceptedUpdateCompletedWorkflow", message } };
}

function outcomeOf({ output, failure }: { readonly output?: unknown; readonly failure?: Failure | undefined }) {
  return failure === undefined
    ? { state: "completed" as const, output: output ?? null }
    : { state: "failed" as const, failure };
}
