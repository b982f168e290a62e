/** Bounds of the wire protocol, each with its reason. Sizes are bytes of UTF-8 JSON. */

/** A field larger than this travels by reference, because several of them must fit into one NATS message of 1 MiB. */
export const FIELD_BYTES_MAX = 128 * 1024;

/** One task as submitted: what its attempts add later (output, progress, failure) must fit into the record beside it. */
export const TASK_BYTES_MAX = 512 * 1024;

/** Levels of arrays and objects in a message. Far above what people write, far below what the stack holds. */
export const JSON_DEPTH_MAX = 256;

/**
 * JSON grows when it is read and written again: `1e20,` becomes 22 bytes of digits. A message this many times smaller
 * than a bound is within it after that too, and its fields need no measuring.
 */
export const JSON_GROWTH_MAX = 5;

/** Characters of a failure's message; more is cut off. It is quoted in events, in reasons and by dependent tasks. */
export const FAILURE_MESSAGE_MAX = 8_192;

/** Characters of a failure's stack; more is cut off. */
export const FAILURE_STACK_MAX = 16_384;

/**
 * What one journal message may hold. A flush that was acknowledged is the unit of durability and the facts of one
 * event never span two, so this also bounds a batch submission. Below NATS' default `max_payload` (1 MiB), with room
 * for the envelope.
 */
export const FLUSH_BYTES_MAX = 960 * 1024;

/** A flush takes no further events once it is this large: beyond it, its fsync costs more latency than grouping saves. */
export const FLUSH_BYTES_TARGET = 256 * 1024;

/** Tasks in one batch submission. The batch's bytes are bounded by FLUSH_BYTES_MAX besides. */
export const BATCH_TASKS_MAX = 2_000;

/** Dependencies of one task: their outputs all travel with its assignment. */
export const DEPENDENCIES_MAX = 5_000;

export const CAPABILITIES_MAX = 256;

/** A longer wait is asked again by the client: replies that take over two minutes are dropped across NATS accounts. */
export const WAIT_TIMEOUT_MS_MAX = 60_000;

/** Longest attempt, retry delay or schedule-to-close: about ten years, so that sums stay exact integers. */
export const DURATION_MS_MAX = 315_360_000_000;

/** How long a running task's agent may take to answer a cancellation before the task ends `cancelled` without it. */
export const CANCEL_GRACE_MS = 5_000;

/** A run is told to continue as new from here on, and people are warned: replaying it takes longer and longer. */
export const HISTORY_EVENTS_WARNING = 10_240;

/** A run with a longer history is terminated: it would hold up everybody's recovery. Temporal's bound. */
export const HISTORY_EVENTS_MAX = 51_200;

/**
 * A workflow as submitted: its spec and its first event stand in one journal message, and a signal that came with it.
 */
export const WORKFLOW_BYTES_MAX = 384 * 1024;

/** What a worker answers to an activation, and one command of it: what follows from each fits into a journal message. */
export const ANSWER_BYTES_MAX = 768 * 1024;
export const COMMAND_BYTES_MAX = 384 * 1024;

/** How long a worker may take to answer an activation before it is given to another. Replays of long histories included. */
export const ACTIVATION_TIMEOUT_MS = 60_000;

/**
 * What a run keeps in its record has to fit into one NATS message: the ids of its signals, of which ten thousand UUIDs
 * fit and of longer ones fewer; and what it has under way: some 3,000 tasks, or 14,000 timers.
 */
export const SIGNALS_MAX = 10_000;
export const SIGNAL_ID_BYTES_MAX = 420 * 1024;
export const PENDING_BYTES_MAX = 320 * 1024;

/** Updates of one run at a time, and in all. */
export const UPDATES_IN_FLIGHT_MAX = 10;
export const UPDATES_MAX = 2_000;

/** Names in one search for runs: each is looked up in every task in memory. */
export const SEARCH_NAMES_MAX = 16;
