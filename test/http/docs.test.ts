/** The examples of docs/http-api.md, run one after the other as a reader would. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { readRepositoryFile } from "../support/source-file.js";
import { HttpSystem } from "./given-http.js";

const nats = useNats();
let system: HttpSystem;

beforeAll(async () => {
  system = await HttpSystem.start(nats.url);
});
afterAll(() => system[Symbol.asyncDispose]());

interface Example {
  readonly commands: readonly string[];
  /** Of the last command, where the page shows it. */
  readonly answer: unknown;
}

function examplesIn(page: string): Example[] {
  const blocks = /```sh\n(.+?)```(?:\n\n```json\n(.+?)```)?/gs;
  return [...page.matchAll(blocks)].map(([, script = "", answer]) => ({
    commands: script.replaceAll("\\\n", "").trim().split("\n"),
    answer: answer === undefined ? undefined : JSON.parse(answer),
  }));
}

it("shows what is answered", async () => {
  const examples = examplesIn(readRepositoryFile("docs/http-api.md"));
  expect(examples.length).toBeGreaterThan(5);

  for (const { commands, answer } of examples) {
    let answered: unknown;
    for (const command of commands) answered = await run(command);
    if (answer !== undefined) expect(lasting(answered)).toEqual(lasting(answer));
  }
});

/** As curl would: only what the page uses of it. */
async function run(command: string): Promise<unknown> {
  const [curl, ...words] = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
  expect(curl).toBe("curl");
  const headers: Record<string, string> = {};
  let url = "";
  let method: string | null = null;
  let body: string | null = null;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "-H") {
      const [name = "", value = ""] = (words.shift() ?? "").split(": ");
      headers[name.toLowerCase()] = value;
    } else if (word === "-d") body = words.shift() ?? "";
    else if (word === "-X") method = words.shift() ?? "";
    else if (word.startsWith("http://127.0.0.1:8080")) url = word.slice("http://127.0.0.1:8080".length);
    else expect(word).toMatch(/^-sN?$/);
  }
  if (command.includes("-sN")) return (await system.begin(url, headers)).status;
  const given = body === null ? {} : { body };
  return (await system.ask(method ?? (body === null ? "GET" : "POST"), url, { headers, ...given })).body;
}

/** What is the same in every run and version: not instants, nor the sentences for people. */
function lasting(value: unknown): unknown {
  const text = JSON.stringify(value, (name, each: unknown) =>
    (typeof each === "number" && each > 1e12) || name === "reason" || name === "message" ? typeof each : each,
  );
  return JSON.parse(text);
}

it("lists every operation there is", async () => {
  const page = readRepositoryFile("docs/http-api.md");
  const { body } = await system.get("/v1/openapi.json");

  const paths = Object.keys(body["paths"] as object).filter((path) => !page.includes(`\`${path}\``));

  expect(paths).toEqual([]);
});
