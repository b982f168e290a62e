/** Does the account have JetStream, with room for what Perdure needs, and may this user look at it? */
import { apiCodes } from "../../jetstream/api-error.js";
import type { NotKnown } from "../../jetstream/inspector.js";
import type { AccountFacts } from "../../jetstream/server-facts.js";
import { subjectsOf } from "../../protocol/subjects.js";
import type { Facts } from "../facts.js";
import type { Notes } from "../finding.js";

const SYSTEM_ACCOUNT = "$SYS";
const NAMED_SUBJECTS_MAX = 5;

export function checkAccount(facts: Facts, notes: Notes): void {
  const { accountName, account, dial } = facts;
  if (!("url" in dial.connected)) {
    notes.need(account);
    return;
  }
  if (accountName.known) notes.see(`account ${accountName.value}`);
  if (accountName.known && accountName.value === SYSTEM_ACCOUNT) {
    notes.find(
      "account/is-system",
      "This user belongs to the system account, which has no JetStream and no tasks.",
      "Connect as a user of the account in which orchestrators, agents and clients work.",
    );
    return;
  }
  checkRights(facts, notes);
  if (account.known) checkRoom(facts, account.value, notes);
  else if (dial.interruption !== null || !explainNoJetStream(account, notes)) notes.skip(account.why);
}

/** @returns whether there was something to explain */
function explainNoJetStream({ reason, code, why }: NotKnown, notes: Notes): boolean {
  if (code === apiCodes.notEnabledForAccount) {
    notes.find(
      "account/jetstream-off",
      "JetStream is not enabled for this account; another one of the server has it.",
      "Set `jetstream: enabled` in the account's configuration (with JWTs: give the account limits), or connect as a user of the account that has it.",
    );
    return true;
  }
  if (code === apiCodes.notEnabled || reason === "nobody") {
    notes.find(
      "account/jetstream-off",
      "JetStream is not enabled on this server: nobody answers for it.",
      'Add `jetstream { store_dir: "..." }` to the server\'s configuration, or start it with -js; `perdure dev` starts one that has it. If the configuration has it, the server turned it off after an error of its disk: its log says so.',
    );
    return true;
  }
  if (reason === "silent" || code === apiCodes.clusterNotAvailable) {
    notes.find(
      "account/jetstream-silent",
      `JetStream does not answer: ${why}.`,
      "In a cluster, too few servers are up to choose a leader: bring the missing ones back. On a single server, look at its disk and its log.",
    );
    return true;
  }
  return false;
}

function checkRights({ deniedSubjects, namespace }: Facts, notes: Notes): void {
  if (deniedSubjects.length === 0) return;
  const named = deniedSubjects.slice(0, NAMED_SUBJECTS_MAX).join(", ");
  const more = deniedSubjects.length - NAMED_SUBJECTS_MAX;
  const list = more > 0 ? `${named} and ${more} more` : named;
  if (deniedSubjects.includes(subjectsOf(namespace).systemStatus)) {
    notes.find(
      "account/no-rights",
      `This user may not talk to an orchestrator in namespace ${namespace}: the server refused ${list}.`,
      "Give the user the rights of a client (docs/operations.md lists them), or name the namespace it has rights in (--namespace).",
      { subjects: deniedSubjects },
    );
    return;
  }
  notes.find(
    "account/rights-missing",
    `This user may not ask on ${list}; what depends on that was not checked.`,
    "Enough for a client. To have everything checked, run this with the orchestrator's credentials.",
    { subjects: deniedSubjects },
  );
}

function checkRoom({ streams: own }: Facts, account: AccountFacts, notes: Notes): void {
  const { streams, streamsMax, consumers, consumersMax } = account;
  const of = (limit: number): string => (limit < 0 ? "" : ` of ${limit}`);
  notes.see(`JetStream has ${streams}${of(streamsMax)} streams and ${consumers}${of(consumersMax)} consumers`);
  const absent = own.filter(({ stream }) => stream.known && stream.value === null).length;
  if (streamsMax >= 0 && streams + absent > streamsMax) {
    notes.find(
      "account/limit-reached",
      `The account has ${streams} of at most ${streamsMax} streams, and ${absent} of Perdure's are still to be made.`,
      "Raise the account's limit of streams, or delete some that nobody needs (`nats stream ls`).",
      { streams, streamsMax, absent },
    );
  }
  if (consumersMax >= 0 && consumers >= consumersMax) {
    notes.find(
      "account/limit-reached",
      `The account has ${consumers} of at most ${consumersMax} consumers; a leader needs one more whenever it starts or reconnects.`,
      "Raise the account's limit of consumers, or delete some that nobody needs (`nats consumer ls`).",
      { consumers, consumersMax },
    );
  }
}
