/** Runs of workflows over HTTP. To start, look at and cancel them, workflows are tasks (task-operations.ts). */
import { PerdureError } from "../errors.js";
import { envelopeFields } from "../protocol/envelope.js";
import { RunId, WorkflowId } from "../protocol/ids.js";
import { parseMessage } from "../protocol/parse.js";
import { WorkflowReply, WorkflowResetRequest } from "../protocol/workflow-message.js";
import { idempotencyKeyOf } from "./idempotency-key.js";
import { type Operation, operation, orchestratorCodes } from "./operation.js";

const ResetBody = WorkflowResetRequest.omit({ messageId: true, timestamp: true, taskId: true });

const resetWorkflow = operation({
  operationId: "resetWorkflow",
  method: "POST",
  path: "/v1/workflows/{workflowId}/reset",
  access: "guarded",
  patience: "short",
  summary: "Try a workflow again from a point in its history",
  description:
    "Of an open workflow or of one that has ended: a new run begins with the history of the last one up to a workflow task, which is decided on anew; the last run is terminated if it is open. Answered once that is on disk.",
  parameters: { workflowId: WorkflowId.describe("The workflow's id.") },
  headers: {
    "Idempotency-Key": envelopeFields.messageId.describe("Names this reset: asked again, it is the same one."),
  },
  body: ResetBody,
  success: {
    status: 200,
    description: "The new run.",
    contentType: "application/json",
    schema: WorkflowReply.pick({ taskId: true }).extend({ runId: RunId }),
  },
  refusals: [...orchestratorCodes, "INVALID_ID", "INVALID_MESSAGE", "NOT_FOUND", "PAYLOAD_TOO_LARGE", "RESET_REFUSED"],
  run: async ({ workflowId }, call, face) => {
    const requestId = idempotencyKeyOf(call);
    const body = parseMessage(ResetBody, (await call.readBody()) ?? {});
    if (!body.ok) {
      const { code, message, fields } = body.failure;
      throw new PerdureError(code, `the reset was refused: ${message}; nothing was changed`, { details: { fields } });
    }
    const { to, reapply, reason, runId: lastRunId } = body.value;
    const { runId } = await face
      .client()
      .workflow(workflowId)
      .reset({
        to,
        reapply,
        ...(reason === undefined ? {} : { reason }),
        ...(lastRunId === undefined ? {} : { runId: lastRunId }),
        ...(requestId === undefined ? {} : { requestId }),
      });
    return { kind: "json", body: { taskId: workflowId, runId } };
  },
});

export const workflowOperations: readonly Operation[] = [resetWorkflow];
