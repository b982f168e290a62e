/** docs/write-an-agent.md and docs/wire-protocol.md, where a stranger would find out that they are wrong. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, it } from "vitest";
import { rulesOfPlayedStage } from "../../../workflows/any-language/played-stage.js";
import { rulesWithOrchestrator } from "../../../workflows/any-language/rules-with-orchestrator.js";
import { type WireMessageName, wireMessageNames } from "../../protocol/wire-messages.js";
import { useNats } from "../../support/nats.js";
import { RawNats } from "../../support/raw-nats.js";
import { readRepositoryFile } from "../../support/source-file.js";
import { Engine, jsonOf } from "../../wire/peers.js";

const nats = useNats();
const guide = readRepositoryFile("docs/write-an-agent.md");
const protocol = readRepositoryFile("docs/wire-protocol.md");
const rules = [...rulesWithOrchestrator, ...rulesOfPlayedStage];

function blocks(document: string, language: string): string[] {
  return [...document.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    ([, text]) => text ?? "",
  );
}

it("lets the reader be an agent by what is to be pasted", async () => {
  await using engine = await Engine.start(nats.url);
  const pastes = blocks(guide, "nats").map((text) => text.replaceAll("mcp.", `${engine.namespace}.`));
  await using terminal = await RawNats.connect(nats.url);
  const inbox = terminal.subscribe("inbox.hand-1");
  const tasks = terminal.subscribe(`${engine.namespace}.agent.hand-1.task`);
  await terminal.flush();
  const paste = (text: string | undefined): void => {
    for (const [, subject = "", reply, bytes, body = ""] of (text ?? "").matchAll(
      /^PUB (\S+) (?:(\S+) )?(\d+)\n(.*)$/gm,
    )) {
      expect({ body, bytes: Number(bytes) }).toEqual({ body, bytes: Buffer.byteLength(body) });
      terminal.publish(subject, body, reply === undefined ? {} : { reply });
    }
  };

  expect(pastes).toHaveLength(3);
  paste(pastes[0]);
  const confirmed = await inbox.first("the confirmation");
  expect(jsonOf(confirmed.data)).toMatchObject({ status: { agentId: "hand-1", state: "registered" } });
  await engine.submitted({ taskId: "g-1", type: "greet", input: { name: "Ada" } });
  await tasks.first("the assignment");
  paste(pastes[1]);
  await engine.untilState("g-1", "running");
  paste(pastes[2]);
  expect(await engine.wait("g-1")).toMatchObject({ state: "completed", output: "hello Ada" });
  const acknowledged = await inbox.first("the acknowledgement", (message) => message !== confirmed);
  expect(jsonOf(acknowledged.data)).toMatchObject({ seq: 1 });
});

const ajv = new Ajv2020({ strict: true });
addFormats.default(ajv);
/** Every envelope fits these: all their other fields may be left out. */
const fitAnything: readonly WireMessageName[] = ["envelope-request", "task-submission-reply", "task-list-request"];
const validators: readonly ValidateFunction[] = wireMessageNames
  .filter((name) => !fitAnything.includes(name))
  .map((name) => ajv.compile(JSON.parse(readRepositoryFile(`docs/schemas/${name}.json`))));

/** Also those within a line of a shell, where `ID` and `NOW` stand for values. */
const examples = [protocol, guide].flatMap((document) => [
  ...blocks(document, "json"),
  ...blocks(document, "").flatMap((text) => text.match(/^\{[\s\S]*\}$/m)?.[0] ?? []),
  ...blocks(document, "nats").flatMap((text) => text.match(/^\{.*\}$/gm) ?? []),
  ...blocks(document, "sh")
    .flatMap((text) => text.match(/\{"messageId".*\}/g) ?? [])
    .map((text) => text.replace('"ID"', '"00000000-0000-4000-8000-000000000001"').replace("NOW", "1")),
]);

it.each(examples)("shows a message that fits a schema: example %#", (text) => {
  const fitting = validators.filter((validate) => validate(JSON.parse(text)));
  expect(fitting).not.toEqual([]);
});

it("shows a fair number of messages", () => {
  expect(examples.length).toBeGreaterThan(15);
});

it("speaks of rules that the conformance check knows", () => {
  const named = [...guide.matchAll(/(?<!\*)\*([A-Z][^*]+\.)\*(?!\*)/g)].flatMap(([, sentences = ""]) =>
    sentences
      .replaceAll(/\s+/g, " ")
      .split(/(?<=\.) /)
      .map((sentence) => sentence.replace(/\.$/, "").replace(/^./, (letter) => letter.toLowerCase())),
  );
  expect(named.length).toBeGreaterThan(15);
  const unknown = named.filter((name) => !rules.some((rule) => rule.name.startsWith(name)));
  expect(unknown).toEqual([]);
});

it("has every chapter that the conformance check sends its reader to", () => {
  const anchors = [...protocol.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-"),
  );
  expect(rules.map(({ chapter }) => chapter).filter((chapter) => !anchors.includes(chapter))).toEqual([]);
});
