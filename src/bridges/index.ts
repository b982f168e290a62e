/** What a program imports to belong to a foreign fleet, or to make one part of Perdure: members, bridges, dead letters. */
export type { BatchOptions } from "./batch-consumption.js";
export type { AckRule, ConsumeOptions, Consumption, HandlingContext } from "./consumption.js";
export type { DeadLetterBox, DeadLetterFilter, KeptLetter } from "./dead-letter-box.js";
export { connectFleet, type Fleet, type FleetOptions, type Published, type PublishOptions } from "./fleet.js";
export { GivenUpError } from "./given-up-error.js";
export type { Received, Stored } from "./received.js";
export type { ConsumerLag, StreamState } from "../jetstream/stream-access.js";
