/** Is there room to write, on the disk and within the limits of server, account and streams? */
import type { Facts, StoreFolderFacts } from "../facts.js";
import type { Notes } from "../finding.js";

const NEAR = 0.8;
const FULL = 0.95;

const GIB = 1024 ** 3;
const LOW_BYTES = GIB;
const LOW_SHARE = 0.05;
/** Eight of the server's blocks: what a burst writes in a moment. */
const FULL_BYTES = 64 * 1024 ** 2;

export function checkDisk(facts: Facts, notes: Notes): void {
  checkAccountRoom(facts, notes);
  checkServerRoom(facts, notes);
  for (const { stream } of facts.streams) {
    if (stream.known && stream.value !== null) checkStreamRoom(stream.value, notes);
  }
  const store = notes.need(facts.host.store);
  if (store !== undefined) checkFolder(store, notes);
}

function checkAccountRoom({ account }: Facts, notes: Notes): void {
  const found = notes.need(account);
  if (found === undefined) return;
  const { storageBytes, reservedBytes, storageBytesMax } = found;
  notes.see(`the account stores ${show(storageBytes)}${storageBytesMax < 0 ? "" : ` of ${show(storageBytesMax)}`}`);
  const level = levelOfRoom(found, storageBytesMax);
  if (level === "fine") return;
  notes.find(
    level === "full" ? "disk/account-full" : "disk/account-near-limit",
    `Of the ${show(storageBytesMax)} that the account may store, ${show(storageBytes)} are stored and ${show(reservedBytes)} reserved by limits of its streams.`,
    "Raise the account's storage limit (max_file in its jetstream block), or delete what nobody needs. At the limit submissions are refused with STORAGE_FULL; none is lost.",
    { storageBytes, reservedBytes, storageBytesMax },
  );
}

/** All accounts together are seen on the monitoring port only; ours alone is a lower bound. */
function checkServerRoom({ host, account }: Facts, notes: Notes): void {
  const { monitoring, storageBytesMax } = host;
  const limit = notes.need(storageBytesMax);
  const stored = (monitoring.known ? monitoring.value.stored : null) ?? (account.known ? account.value : null);
  if (limit === undefined || stored === null) return;
  const { storageBytes, reservedBytes } = stored;
  notes.see(`the server stores ${show(storageBytes)} of ${show(limit)}`);
  const level = levelOfRoom(stored, limit);
  if (level === "fine") return;
  notes.find(
    level === "full" ? "disk/server-full" : "disk/server-near-limit",
    `Of the ${show(limit)} that the server may store, ${show(storageBytes)} are stored and ${show(reservedBytes)} reserved.`,
    "Raise jetstream.max_file where the disk has room, or delete what nobody needs. At the limit submissions are refused with STORAGE_FULL; none is lost.",
    { storageBytes, reservedBytes, storageBytesMax: limit },
  );
}

interface StreamRoom {
  readonly name: string;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly messages: number;
  readonly messagesMax: number;
}

function checkStreamRoom({ name, bytes, bytesMax, messages, messagesMax }: StreamRoom, notes: Notes): void {
  const levels = [
    { level: levelOf(bytes, bytesMax), said: `${show(bytes)} of at most ${show(bytesMax)}`, limit: "max-bytes" },
    {
      level: levelOf(messages, messagesMax),
      said: `${messages} of at most ${messagesMax} messages`,
      limit: "max-msgs",
    },
  ];
  for (const { level, said, limit } of levels) {
    if (level === "fine") continue;
    notes.find(
      level === "full" ? "disk/stream-full" : "disk/stream-near-limit",
      `${name} holds ${said}.`,
      `Raise the limit: \`nats stream edit ${name} --${limit}=...\` (-1 is none). At it, writes are refused; nothing that was accepted is lost.`,
      { stream: name, bytes, bytesMax, messages, messagesMax },
    );
  }
}

function checkFolder(store: StoreFolderFacts, notes: Notes): void {
  const { path } = store;
  if (store.state === "missing") {
    notes.find(
      "disk/store-missing",
      `The server's data folder ${path} is gone, while the server runs.`,
      "Everything is in the server's memory and in deleted files: do not stop it. Drain the work, or back the streams up (`nats account backup`), then restore into a new folder.",
      { path },
    );
    return;
  }
  const { freeBytes, totalBytes } = store;
  notes.see(`${show(freeBytes)} of ${show(totalBytes)} are free under ${path}`);
  const isFull = freeBytes < FULL_BYTES;
  if (!isFull && freeBytes >= LOW_BYTES && freeBytes >= totalBytes * LOW_SHARE) return;
  notes.find(
    isFull ? "disk/full" : "disk/low",
    `${show(freeBytes)} are free on the disk of ${path}.`,
    "Make room. A server that meets the end of its disk freezes its streams without an error; keep jetstream.max_file below what the disk holds, so that it refuses first.",
    { path, freeBytes, totalBytes },
  );
}

/** What is only reserved keeps nobody from writing, but from making streams. */
function levelOfRoom(
  { storageBytes, reservedBytes }: { readonly storageBytes: number; readonly reservedBytes: number },
  limit: number,
): ReturnType<typeof levelOf> {
  const stored = levelOf(storageBytes, limit);
  return stored === "fine" && levelOf(reservedBytes, limit) !== "fine" ? "near" : stored;
}

/** @param limit negative or 0 is none */
function levelOf(used: number, limit: number): "fine" | "near" | "full" {
  if (limit <= 0 || used < limit * NEAR) return "fine";
  return used < limit * FULL ? "near" : "full";
}

function show(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
