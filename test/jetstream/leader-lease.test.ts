import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { type Clock, systemClock } from "../../src/clock.js";
import type { Connection } from "../../src/jetstream/connection.js";
import { LeaderLease, type LeaderLeaseOptions } from "../../src/jetstream/leader-lease.js";
import { thisProcess } from "../../src/jetstream/process-identity.js";
import { provision } from "../../src/jetstream/provision.js";
import { publishAcked } from "../../src/jetstream/publisher.js";
import { readKey } from "../../src/jetstream/stored-key.js";
import { silentLogger } from "../../src/logger.js";
import { META_KEYS, topologyOf } from "../../src/protocol/topology.js";
import { captureLog } from "../support/log-lines.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until } from "../support/until.js";

const nats = useNats();

interface Given {
  readonly connection: Connection;
  readonly bucket: string;
}

async function provisioned(): Promise<Given> {
  const connection = await nats.connect();
  const topology = topologyOf(newNamespace());
  await provision(connection, topology, { replicas: 1, serverSync: "always" });
  return { connection, bucket: topology.meta.bucket };
}

interface Candidate {
  readonly lease: LeaderLease;
  losses: number;
}

function candidate({ connection, bucket }: Given, options: Partial<LeaderLeaseOptions> = {}): Candidate {
  const lease: LeaderLease = new LeaderLease(connection, {
    bucket,
    leaseMs: 3_000,
    renewIntervalMs: 1_000,
    clock: systemClock,
    logger: silentLogger,
    onLost: () => {
      made.losses += 1;
    },
    ...options,
  });
  const made: Candidate = { lease, losses: 0 };
  onTestFinished(() => lease.release());
  return made;
}

const soon = (): AbortSignal => AbortSignal.timeout(20_000);

test("of two candidates one leads, and the other as soon as the first gives the lease up", async () => {
  const given = await provisioned();
  const first = candidate(given, { leaseMs: 30_000 });
  const second = candidate({ ...given, connection: await nats.connect() });
  await first.lease.acquire(soon());
  const acquired = second.lease.acquire(soon());
  expect(first.lease.isHeld).toBe(true);
  expect(second.lease.isHeld).toBe(false);
  await first.lease.release();
  const releasedAt = performance.now();
  await acquired;
  expect(performance.now() - releasedAt).toBeLessThan(10_000);
  expect(second.lease.isHeld).toBe(true);
  expect(first.lease.isHeld).toBe(false);
  expect(first.losses).toBe(0);
});

test("of many candidates that try at once exactly one leads", async () => {
  const given = await provisioned();
  const candidates = Array.from({ length: 5 }, () => candidate(given));
  const stop = new AbortController();
  const attempts = candidates.map(({ lease }) => lease.acquire(stop.signal));
  await Promise.any(attempts);
  stop.abort();
  await Promise.allSettled(attempts);
  expect(candidates.filter(({ lease }) => lease.isHeld)).toHaveLength(1);
});

test("the key says who leads", async () => {
  const given = await provisioned();
  const { lease } = candidate(given);
  await lease.acquire(soon());
  const stored = await readKey(given.connection, given.bucket, META_KEYS.leader);
  expect(stored?.value).toMatchObject({ holderId: lease.holderId, ...thisProcess() });
});

test("a lease is held for longer than it lasts, as long as it is renewed", async () => {
  const given = await provisioned();
  const holder = candidate(given, { leaseMs: 1_000, renewIntervalMs: 200 });
  await holder.lease.acquire(soon());
  const acquiredAt = performance.now();
  await until("twice its time has passed", () => performance.now() - acquiredAt > 2_000);
  expect(holder.lease.isHeld).toBe(true);
  expect(holder.losses).toBe(0);
});

test("a holder that cannot renew stops holding the lease before another can have it", async () => {
  const given = await provisioned();
  const first = candidate(given, { leaseMs: 3_000, renewIntervalMs: 200 });
  await first.lease.acquire(soon());
  await nats.freeze();
  const frozenAt = performance.now();
  await until("it is held no more", () => !first.lease.isHeld);
  expect(performance.now() - frozenAt).toBeLessThan(3_000);
});

test("a lease that ran out is held again as soon as it can be renewed, if nobody took it", async () => {
  const given = await provisioned();
  const holder = candidate(given, { leaseMs: 1_000, renewIntervalMs: 200 });
  await holder.lease.acquire(soon());
  await nats.kill();
  const killedAt = performance.now();
  await until("the server would have forgotten it", () => performance.now() > killedAt + 2_000);
  expect(holder.lease.isHeld).toBe(false);
  await nats.restart();
  await until("it is held again", () => holder.lease.isHeld);
  expect(holder.losses).toBe(0);
});

test("a holder that was stopped for longer than its lease knows at once that it has lost it", async () => {
  const given = await provisioned();
  let skippedMs = 0;
  const clock: Clock = { now: () => Date.now(), monotonicNow: () => performance.now() + skippedMs };
  const { lease } = candidate(given, { clock });
  await lease.acquire(soon());
  expect(lease.isHeld).toBe(true);
  skippedMs = 2_000;
  expect(lease.isHeld).toBe(false);
});

test("a renewal whose acknowledgement was lost does not cost the lease", async () => {
  const given = await provisioned();
  const { logger, count } = captureLog();
  const holder = candidate(given, { leaseMs: 6_000, renewIntervalMs: 100, logger });
  await holder.lease.acquire(soon());
  await nats.freeze();
  await until("a renewal has timed out", () => count("could not renew") >= 1);
  nats.thaw();
  const before = (await readKey(given.connection, given.bucket, META_KEYS.leader))?.revision ?? 0;
  await until(
    "it is renewed again",
    async () => ((await readKey(given.connection, given.bucket, META_KEYS.leader))?.revision ?? 0) > before + 2,
  );
  expect(holder.lease.isHeld).toBe(true);
  expect(holder.losses).toBe(0);
});

test("a holder whose key another has taken is told", async () => {
  const given = await provisioned();
  const holder = candidate(given, { renewIntervalMs: 100 });
  await holder.lease.acquire(soon());
  const usurper = JSON.stringify({ ...thisProcess(), holderId: "another", at: 0 });
  await publishAcked(given.connection, `$KV.${given.bucket}.${META_KEYS.leader}`, usurper, { timeoutMs: 5_000 });
  await until("the loss is reported", () => holder.losses === 1);
  expect(holder.lease.isHeld).toBe(false);
});

async function pidOfTheDead(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  return child.pid ?? 0;
}

async function leaveLease(given: Given, pid: number): Promise<void> {
  const holder = JSON.stringify({ ...thisProcess(), pid, holderId: "killed", at: 0 });
  const headers = { "Nats-TTL": "60s" };
  await publishAcked(given.connection, `$KV.${given.bucket}.${META_KEYS.leader}`, holder, {
    timeoutMs: 5_000,
    headers,
  });
}

test("the lease of a process that died on this machine is taken at once", async () => {
  const given = await provisioned();
  await leaveLease(given, await pidOfTheDead());
  const { lease } = candidate(given);
  const startedAt = performance.now();
  await lease.acquire(soon());
  expect(performance.now() - startedAt).toBeLessThan(20_000);
});

test("the lease of a process that lives is waited for", async () => {
  const given = await provisioned();
  await leaveLease(given, process.ppid);
  const { lease } = candidate(given);
  await expect(lease.acquire(AbortSignal.timeout(400))).rejects.toThrow();
  expect(lease.isHeld).toBe(false);
});
