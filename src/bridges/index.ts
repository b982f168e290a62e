/** What a program imports to belong to a foreign fleet, or to make one part of Perdure: members, bridges, dead letters. */

export type { ConsumerLag, ConsumerSetup, StreamState } from "../jetstream/stream-access.js";
export type { BatchOptions } from "./batch-consumption.js";
export {
  type AnnouncedMembers,
  announcedMembers,
  announcement,
  type Bridge,
  type BridgeDeclaration,
  defineBridge,
  type MemberDescription,
  type MemberOutcome,
  type MemberRule,
  type MemberTask,
  member,
  type PublicationRule,
  publication,
  type RequestRule,
  request,
  type Screening,
  type Source,
  staticMember,
} from "./bridge.js";
export type { Bucket, BucketEntry } from "./bucket.js";
export { connectFleet } from "./connect-fleet.js";
export type { AckRule, ConsumeOptions, Consumption, HandlingContext } from "./consumption.js";
export type { DeadLetterBox, DeadLetterFilter, ReplayedLetter } from "./dead-letter-box.js";
export type { Fleet, FleetOptions, Published, PublishOptions } from "./fleet.js";
export { taskIdOf } from "./foreign-id.js";
export { GivenUpError } from "./given-up-error.js";
export type { KeptLetter } from "./kept-letter.js";
export type { Outgoing } from "./outgoing.js";
export type { Received, Stored } from "./received.js";
export { type BridgeHealth, type BridgeOptions, type RunningBridge, startBridge } from "./run-bridge.js";
