/**
 * What gives an order to a model away. A rule is an intent: a few concepts within reach of each other, inside a sentence.
 * Those of one reading are added up; `rejectAt` is reached by one intent that no error has, or by several that errors have
 * now and then. Changing a weight is changing who is let through: run the benchmark.
 */
import type { ConceptName } from "./vocabulary.js";

export const rejectAt = 10;

export interface Rule {
  readonly id: string;
  readonly why: string;
  readonly weight: number;
  /** Concepts in the order in which they stand, each within so many characters of the one before. */
  readonly concepts: readonly ConceptName[];
  readonly withinCharacters?: number;
}

// biome-ignore format: a table, one row a rule
export const rules: readonly Rule[] = [
  { id: "dismiss-guidance", why: "tells the reader to set aside what it was told", weight: 10, concepts: ["dismiss", "guidance"], withinCharacters: 30 },
  { id: "dismiss-own-guidance", why: "tells the reader to set its own rules aside", weight: 10, concepts: ["dismiss", "ownGuidance"], withinCharacters: 40 },
  { id: "dismiss-all-before", why: "tells the reader to set aside what came before", weight: 10, concepts: ["dismiss", "allBefore"], withinCharacters: 20 },
  { id: "dismiss-at-end", why: "the same, with the verb last", weight: 10, concepts: ["guidance", "dismissAtEnd"], withinCharacters: 14 },
  { id: "weaken-guidance", why: "tells the reader to get around its own rules", weight: 10, concepts: ["dismissWeak", "ownGuidance"], withinCharacters: 20 },
  { id: "guidance-ended", why: "says that the reader's rules have ended", weight: 10, concepts: ["ownGuidance", "ended"], withinCharacters: 40 },
  { id: "all-before-ended", why: "says that what came before does not count", weight: 10, concepts: ["allBefore", "ended"], withinCharacters: 50 },
  { id: "new-orders", why: "gives the reader another task", weight: 7, concepts: ["newOrders"] },
  { id: "becomes-role", why: "gives the reader another role", weight: 10, concepts: ["becomes", "role"], withinCharacters: 24 },
  { id: "becomes-free", why: "tells the reader to be somebody without rules", weight: 10, concepts: ["becomes", "freedom"], withinCharacters: 80 },
  { id: "becomes", why: "speaks of what the reader is to be", weight: 3, concepts: ["becomes"] },
  { id: "becomes-elsewhere", why: "gives the reader another role, in another language", weight: 10, concepts: ["becomesElsewhere"] },
  { id: "from-now-elsewhere", why: "speaks of a new time, in another language", weight: 4, concepts: ["fromNowElsewhere"] },
  { id: "elevated-mode", why: "asks for a mode without rules", weight: 5, concepts: ["elevatedMode"] },
  { id: "freedom", why: "says that there are no rules", weight: 8, concepts: ["freedom"] },
  { id: "reveal-prompt", why: "asks for what the reader was set up with", weight: 10, concepts: ["reveal", "ownPrompt"], withinCharacters: 40 },
  { id: "prompt-reveal", why: "the same, with the verb last", weight: 10, concepts: ["ownPrompt", "reveal"], withinCharacters: 12 },
  { id: "send-secret", why: "tells the reader to hand over what is secret", weight: 7, concepts: ["send", "secret"], withinCharacters: 60 },
  { id: "secret-send", why: "the same, with the verb last", weight: 7, concepts: ["secret", "send"], withinCharacters: 40 },
  { id: "secret-destination", why: "names where something secret is to go", weight: 5, concepts: ["secret", "destination"], withinCharacters: 80 },
  { id: "include-secret", why: "asks for what is secret, as programs do too", weight: 5, concepts: ["sendWeak", "secret"], withinCharacters: 40 },
  { id: "own-output", why: "says what the team is to write", weight: 5, concepts: ["ownOutput"] },
  { id: "addressed", why: "speaks to a model", weight: 8, concepts: ["addressed"] },
  { id: "called", why: "calls a model by its name", weight: 6, concepts: ["called"] },
  { id: "machine-must", why: "says what a model must do", weight: 6, concepts: ["machineReader", "must"], withinCharacters: 2 },
  { id: "if-machine", why: "speaks to whoever is a model", weight: 6, concepts: ["ifMachine"] },
  { id: "leave-out-protection", why: "tells the reader to leave out what protects", weight: 6, concepts: ["leaveOut", "protection"], withinCharacters: 24 },
  { id: "let-through", why: "tells the reader to let a change through", weight: 5, concepts: ["letThrough", "change"], withinCharacters: 24 },
  { id: "claim", why: "says what outcome the reader is to claim", weight: 7, concepts: ["claim"] },
  { id: "destroy", why: "tells the reader to destroy something", weight: 6, concepts: ["destroy", "valuable"], withinCharacters: 16 },
  { id: "run-dangerous", why: "gives the reader a command that no fix needs", weight: 10, concepts: ["run", "dangerousCommand"], withinCharacters: 60 },
  { id: "dangerous-command", why: "has a command that no fix needs", weight: 6, concepts: ["dangerousCommand"] },
  { id: "make-hole", why: "tells the reader to make a hole", weight: 8, concepts: ["make", "hole"], withinCharacters: 60 },
  { id: "secrecy", why: "wants something kept from somebody", weight: 4, concepts: ["secrecy"] },
  { id: "pressure", why: "threatens or bribes the reader", weight: 7, concepts: ["pressure"] },
  { id: "threat", why: "says what happens if the reader does not", weight: 3, concepts: ["threat"] },
  { id: "let-through-unprotected", why: "wants a change let through without what protects", weight: 5, concepts: ["letThrough", "leaveOut", "protection"], withinCharacters: 24 },
  { id: "skip-the-rules", why: "tells somebody to get around rules", weight: 5, concepts: ["dismissWeak", "guidance"], withinCharacters: 16 },
  { id: "obey-reporter", why: "wants the reporter obeyed", weight: 6, concepts: ["obeyReporter"] },
  { id: "tell-me", why: "asks for something to be told", weight: 3, concepts: ["tellMe"] },
  { id: "held-by-reader", why: "asks for what only the reader has", weight: 5, concepts: ["heldByReader"] },
  { id: "beacon", why: "is an image whose address carries what was read", weight: 7, concepts: ["beacon"] },
  { id: "own-tool", why: "asks for a call of the reader's tools", weight: 5, concepts: ["ownTool"] },
  { id: "permitted", why: "gives the reader leave to do something", weight: 4, concepts: ["permitted"] },
  { id: "you-must", why: "says what the reader must do, as programs do too", weight: 3, concepts: ["youMust"] },
  { id: "you-are-role", why: "tells the reader who it is", weight: 5, concepts: ["youAre", "role"], withinCharacters: 24 },
  { id: "polite", why: "asks a favour, as programs do too", weight: 3, concepts: ["polite"] },
  { id: "hidden-markup", why: "is written so that people do not see it", weight: 4, concepts: ["hiddenMarkup"] },
  { id: "foreign-code", why: "wants code from a place of the reporter's choice", weight: 6, concepts: ["foreignCode"] },
  { id: "no-refusal", why: "forbids the reader to refuse", weight: 6, concepts: ["noRefusal"] },
  { id: "say-so", why: "dictates how an answer begins", weight: 6, concepts: ["saySo"] },
  { id: "authority", why: "claims an authority over the reader", weight: 7, concepts: ["authority"] },
  { id: "decode-and-do", why: "tells the reader to decode something and do it", weight: 10, concepts: ["decodeIt", "doIt"], withinCharacters: 60 },
  { id: "fake-turn", why: "looks like a turn of a conversation with a model", weight: 10, concepts: ["fakeTurn"] },
  { id: "fake-turn-weak", why: "looks a little like one", weight: 6, concepts: ["fakeTurnWeak"] },
  { id: "fake-tool", why: "looks like what a tool answers to a model", weight: 7, concepts: ["fakeTool"] },
  { id: "ask-self", why: "asks the reader for its rules", weight: 10, concepts: ["askSelf"] },
  { id: "over-rules", why: "puts the reporter above the reader's rules", weight: 10, concepts: ["overRules"] },
  { id: "strong-hole", why: "wants a hole that no error is about", weight: 10, concepts: ["strongHole"] },
  { id: "unasked", why: "wants something done without asking anybody", weight: 4, concepts: ["unasked"] },
  { id: "exempt", why: "says that nothing has to be checked", weight: 6, concepts: ["exempt", "protection"], withinCharacters: 10 },
  { id: "standing", why: "says what is to hold for errors to come", weight: 5, concepts: ["standing"] },
  { id: "blind-trust", why: "wants something believed without a look", weight: 5, concepts: ["blindTrust"] },
  { id: "protection-off", why: "says that what protects is off", weight: 3, concepts: ["protection", "ended"], withinCharacters: 10 },
  { id: "favour", why: "asks for a favour as people do", weight: 5, concepts: ["favour"] },
  { id: "take-down-watch", why: "wants taken down what watches or guards", weight: 6, concepts: ["takeDown", "watch"], withinCharacters: 12 },
  { id: "whoever", why: "gives orders to whoever handles the report", weight: 5, concepts: ["whoever"] },
  { id: "decided", why: "says that somebody has agreed already", weight: 4, concepts: ["decided"] },
  { id: "in-prose", why: "speaks of somebody who works by himself", weight: 3, concepts: ["inProse"] },
  { id: "only-that", why: "wants nothing else done", weight: 4, concepts: ["onlyThat"] },
  { id: "enter-system", why: "sends the reader into a system", weight: 5, concepts: ["enterSystem"] },
  { id: "go-and-run", why: "sends the reader to a page and has it do what is there", weight: 10, concepts: ["goAndRun"] },
  { id: "go-there", why: "sends the reader to a page", weight: 6, concepts: ["goThere"] },
];
