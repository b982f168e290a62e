/** `perdure topology` as a process: what it prints, and what it tells the shell. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newNamespace, useNats } from "../support/nats.js";
import { type Ended, perdure } from "./perdure.js";

const nats = useNats();

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "perdure-cli-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (...args: readonly string[]): Promise<Ended> =>
  perdure(["topology", ...args], { environment: { NATS_URL: nats.url } });

interface Given {
  readonly name: string;
  readonly stream: string;
  /** Writes the declaration, changed. */
  write(change?: object): Promise<string>;
}

function given(): Given {
  const name = newNamespace();
  const stream = `${name}_tasks`;
  return {
    name,
    stream,
    write: async (change = {}) => {
      const file = join(folder, `${name}.json`);
      const declared = {
        name,
        streams: { [stream]: { subjects: [`${name}.tasks.>`], retention: "workqueue", maxAge: "7d", ...change } },
        consumers: { [`${name}-consumer`]: { stream, ackWait: "30s", maxDeliver: 1 } },
      };
      await writeFile(file, JSON.stringify(declared));
      return file;
    },
  };
}

it("plans, checks, applies and finds everything as declared", async () => {
  const { name, stream, write } = given();
  const file = await write();
  const planText = [
    `topology ${name} on ${nats.url}`,
    `+ stream ${stream}`,
    `    subjects   ${name}.tasks.>`,
    "    retention  workqueue",
    "    storage    file",
    "    maxAge     7d",
    `+ consumer ${name}-consumer of ${stream}`,
    "    ackPolicy      explicit",
    "    deliverPolicy  all",
    "    maxDeliver     1",
    "    ackWait        30s",
    "",
  ].join("\n");

  expect(await run("plan", file)).toEqual({ status: 0, stdout: `${planText}2 to create, 0 as declared\n`, stderr: "" });
  expect(await run("check", file)).toMatchObject({ status: 1, stdout: `${planText}2 to create, 0 as declared\n` });
  expect(await run("apply", file)).toEqual({ status: 0, stdout: `${planText}2 created, 0 as declared\n`, stderr: "" });

  const asDeclared = { status: 0, stdout: `topology ${name} on ${nats.url}\n2 as declared\n`, stderr: "" };
  expect(await run("check", file)).toEqual(asDeclared);
  expect(await run("apply", file)).toEqual(asDeclared);
});

it("shows both values of what differs, and does what loses data only when told", async () => {
  const { name, stream, write } = given();
  await run("apply", await write());
  const longer = await run("plan", await write({ maxAge: "14d", replicas: 3 }));
  const file = await write({ storage: "memory" });

  const plan = await run("plan", file);
  const refused = await run("apply", file);
  const allowed = await run("apply", file, "--allow-data-loss");

  expect(longer.stdout).toBe(
    `topology ${name} on ${nats.url}\n~ stream ${stream}\n    maxAge  7d -> 14d\n  replicas: 1 instead of 3, because the server is not clustered\n1 to update, 1 as declared\n`,
  );
  expect(plan.stdout).toMatch(
    /^! stream .+\n {4}storage {2}file -> memory\n {2}loses data: storage cannot be changed/m,
  );
  expect(plan.status).toBe(0);
  expect(refused).toMatchObject({
    status: 6,
    stdout: "",
    stderr: expect.stringMatching(/TOPOLOGY_LOSES_DATA: .+Nothing was changed.+--allow-data-loss/),
  });
  expect(allowed.stdout).toMatch(/^1 created, 1 replaced, 0 as declared$/m);
  expect(allowed.status).toBe(0);
  expect((await run("check", file)).status).toBe(0);
});

it("prints changes for programs", async () => {
  const { name, stream, write } = given();
  const file = await write();

  const json = await run("check", file, "--json");
  const lines = await run("plan", file, "--jsonl");

  const created = { kind: "stream", name: stream, action: "create" };
  expect(json.status).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ topologies: [{ topology: name, changes: [created, {}] }] });
  expect(
    lines.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    { topology: name, ...created },
    {
      topology: name,
      kind: "consumer",
      stream,
      settings: expect.arrayContaining([{ setting: "ackWait", found: null, wanted: 30_000 }]),
    },
  ]);
});

const index = new URL("../../dist/src/index.js", import.meta.url).href;

it("takes every topology that a module exports", async () => {
  const [one, other] = [newNamespace(), newNamespace()];
  const code = (name: string) => `defineTopology("${name}", { buckets: { ${name}: {} } })`;
  const file = join(folder, "two.mjs");
  await writeFile(
    file,
    `import { defineTopology } from "${index}";\nexport const a = ${code(one)};\nexport const b = ${code(other)};\nexport const c = a;\n`,
  );

  const { status, stdout } = await run("apply", file);

  expect(stdout).toMatch(
    new RegExp(`^topology ${one} .+\\n\\+ bucket ${one}\\n[^]+1 created, 0 as declared\\ntopology ${other} `),
  );
  expect(stdout.match(/created/g)).toHaveLength(2);
  expect(status).toBe(0);
});

it.each<[what: string, name: string, text: string, said: RegExp]>([
  [
    "breaks a rule",
    "bad.json",
    '{"name":"bad","streams":{"s":{"subjects":["a..b"],"retention":"limits","replicas":2}}}',
    /^perdure: INVALID_TOPOLOGY: .+replicas: must be 1, 3 or 5/,
  ],
  [
    "breaks a rule while it is loaded",
    "bad.mjs",
    `import { defineTopology } from "${index}";\nexport const x = defineTopology("x", {});`,
    /^perdure: INVALID_TOPOLOGY: Topology "x" has one problem.+declares nothing/,
  ],
  ["is no JSON", "no.json", "{,}", /^perdure: USAGE: .+is not JSON/],
  ["has no name", "nameless.json", '{"streams":{}}', /^perdure: USAGE: .+has no topology; it takes/],
  ["exports none", "none.mjs", "export const x = 1;", /^perdure: USAGE: .+exports no topology/],
  ["cannot be loaded", "broken.mjs", "export const = 1;", /^perdure: USAGE: cannot load .+SyntaxError/],
])("refuses a file that %s", async (_what, name, text, said) => {
  const file = join(folder, name);
  await writeFile(file, text);

  const ended = await run("plan", file);

  expect(ended.stderr).toMatch(said);
  expect(ended).toMatchObject({ status: 2, stdout: "" });
});

it("refuses an action there is not, a licence to lose data beside plan, and a server that is not there", async () => {
  const file = await given().write();

  expect(await run("destroy", file)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("Allowed choices are plan, apply, check"),
  });
  expect(await run("plan", file, "--allow-data-loss")).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("is for apply"),
  });
  expect(await run("plan", file, "--server", "nats://127.0.0.1:1")).toMatchObject({ status: 4, stdout: "" });
});
