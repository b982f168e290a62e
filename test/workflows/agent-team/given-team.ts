/** An engine of its own with a team on it, and a raw connection for the members of the old one. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect } from "vitest";
import type { Client } from "../../../src/client/client.js";
import { silentLogger } from "../../../src/logger.js";
import { namesOf } from "../../../workflows/agent-team/names.js";
import { startTeam, type Team, type TeamOptions } from "../../../workflows/agent-team/team.js";
import { useLocalSystem } from "../../support/local-system.js";
import { RawNats } from "../../support/raw-nats.js";

export const sampleProject = fileURLToPath(new URL("../../../workflows/agent-team/sample-project", import.meta.url));

/** As a member of the old fleet writes it. */
export const sampleReport = {
  error: "TypeError: Cannot read properties of undefined (reading 'price')",
  stack:
    "TypeError: Cannot read properties of undefined (reading 'price')\n    at totalOf (/srv/shop/src/cart.js:7:27)",
  timestamp: "2026-11-21T09:00:00.000Z",
  context: { file: "/srv/shop/src/cart.js", line: 7, request_id: "req-1" },
};

export interface GivenSystem {
  readonly url: string;
  readonly client: Client;
  readonly raw: RawNats;
  /** Stopped after the file's tests at the latest. */
  startTeam(project: string, options?: Partial<TeamOptions>): Promise<Team>;
}

export function useSystem(): GivenSystem {
  const system = useLocalSystem({ heartbeatMs: 300 });
  let raw: RawNats;
  const teams: Team[] = [];
  const faults: unknown[] = [];
  beforeAll(async () => {
    raw = await RawNats.connect(system.url);
  });
  afterAll(async () => {
    for (const team of teams) await team.stop();
    await raw.close();
    expect(faults).toEqual([]);
  });
  return {
    get url() {
      return system.url;
    },
    get client() {
      return system.client;
    },
    get raw() {
      return raw;
    },
    startTeam: async (project, options = {}) => {
      const team = await startTeam({
        names: namesOf(project),
        servers: system.url,
        projectFolder: sampleProject,
        logger: silentLogger,
        onFault: (fault) => faults.push(fault),
        ...options,
      });
      teams.push(team);
      return team;
    },
  };
}

/** Asks JetStream's own interface, as any member can. */
export async function ask(raw: RawNats, subject: string, body: unknown = ""): Promise<Record<string, unknown>> {
  const { data } = await raw.request(`$JS.API.${subject}`, body === "" ? "" : JSON.stringify(body));
  return JSON.parse(data.toString()) as Record<string, unknown>;
}

export interface Stored {
  readonly seq: number;
  readonly duplicate?: boolean;
}

/** A publication that its stream confirms. */
export async function publish(raw: RawNats, subject: string, body: unknown, messageId?: string): Promise<Stored> {
  const headers = messageId === undefined ? {} : { "Nats-Msg-Id": messageId };
  const { data } = await raw.request(subject, JSON.stringify(body), { headers });
  return JSON.parse(data.toString()) as Stored;
}

export async function messagesIn(raw: RawNats, stream: string): Promise<number> {
  const { state } = (await ask(raw, `STREAM.INFO.${stream}`)) as { state: { messages: number } };
  return state.messages;
}
