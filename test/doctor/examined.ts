/** The doctor as a function, and an orchestrator to be looked at. */
import { createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { type DoctorReport, examine } from "../../src/doctor/examine.js";
import type { Finding } from "../../src/doctor/finding.js";
import type { FindingCode } from "../../src/doctor/finding-codes.js";
import type { GatherOptions } from "../../src/doctor/gather.js";
import { type Connection, connect } from "../../src/jetstream/connection.js";
import { silentLogger } from "../../src/logger.js";
import { type Orchestrator, type OrchestratorOptions, startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import type { OrchestratorSettingsInput } from "../../src/orchestrator/orchestrator-options.js";
import { DEFAULT_NAMESPACE } from "../../src/protocol/ids.js";

export type Looking = Partial<GatherOptions>;

/** Looks for a moment only: what needs longer says so. */
export function lookAt(servers: string | readonly string[], looking: Looking = {}): Promise<DoctorReport> {
  return examine({
    connection: { servers },
    namespace: DEFAULT_NAMESPACE,
    timeoutMs: 3_000,
    observeMs: 50,
    // Nothing listens there: somebody else's server on this machine must not be looked at.
    monitoringUrl: "http://127.0.0.1:9",
    ...looking,
  });
}

export const findingsOf = (report: DoctorReport): readonly Finding[] =>
  report.checks.flatMap(({ findings }) => findings);

export const codesOf = (report: DoctorReport): readonly FindingCode[] => findingsOf(report).map(({ code }) => code);

/** The first finding of this code; an error that says what was found instead. */
export function findingOf(report: DoctorReport, code: FindingCode): Finding {
  const found = findingsOf(report).find((finding) => finding.code === code);
  if (found === undefined) {
    const others = findingsOf(report).map((finding) => `${finding.code}: ${finding.summary}`);
    throw new Error(`no ${code}, but ${others.length === 0 ? "nothing" : others.join("\n")}`);
  }
  return found;
}

/** One that leads; to be disposed of before its server, for it writes out what it has. */
export async function givenOrchestrator(
  servers: string,
  settings: OrchestratorSettingsInput,
  options: Partial<OrchestratorOptions> = {},
): Promise<Orchestrator & AsyncDisposable> {
  const orchestrator = await startOrchestrator({
    servers,
    serverSync: "always",
    logger: silentLogger,
    ...options,
    settings,
  });
  await orchestrator.leading;
  return Object.assign(orchestrator, { [Symbol.asyncDispose]: () => orchestrator.stop() });
}

/** Closed after the test. */
export async function givenConnection(servers: string, name = "test"): Promise<Connection> {
  const connection = await connect({ servers, name, maxReconnects: 0, logger: silentLogger });
  onTestFinished(() => connection.close());
  return connection;
}

/** A TCP server of the test's own; ended after it. */
export async function givenListener(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
  return `127.0.0.1:${address.port}`;
}
