/** Memo and search attributes take room in a run's record too, and are bounded for code as they are for clients. */
import type { Command } from "../../protocol/command.js";
import { jsonBytes } from "../../protocol/json-bytes.js";
import { FIELD_BYTES_MAX } from "../../protocol/limits.js";
import type { RunRecord } from "../../protocol/run-record.js";
import { upserted } from "../../protocol/search-attributes.js";

/** What is too large once these commands were carried out, as a sentence; null where nothing is. */
export function overfullValues(record: RunRecord, commands: readonly Command[]): string | null {
  let { memo, searchAttributes } = record;
  const sizes: (readonly [what: string, bytes: number])[] = [];
  for (const command of commands) {
    switch (command.type) {
      case "ModifyWorkflowProperties":
        memo = { ...memo, ...command.memo };
        break;
      case "UpsertSearchAttributes":
        searchAttributes = upserted(searchAttributes, command.searchAttributes);
        break;
      case "StartChildWorkflow":
      case "ContinueAsNew":
        sizes.push([`the memo of its ${command.type}`, jsonBytes(command.memo)]);
        sizes.push([`the search attributes of its ${command.type}`, jsonBytes(command.searchAttributes)]);
        break;
      default:
    }
  }
  // Most answers say nothing of either: then nothing is measured.
  if (memo !== record.memo) sizes.push(["its memo", jsonBytes(memo)]);
  if (searchAttributes !== record.searchAttributes) sizes.push(["its search attributes", jsonBytes(searchAttributes)]);
  const [first] = sizes.filter(([, bytes]) => bytes > FIELD_BYTES_MAX);
  if (first === undefined) return null;
  const [what, bytes] = first;
  return `workflow ${record.spec.workflowId} would have ${bytes} bytes in ${what}, which may have ${FIELD_BYTES_MAX}. Store what is large elsewhere, and keep where it is.`;
}
