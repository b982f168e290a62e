/** JSON Schemas of the protocol's messages and the pages that list them, as they stand in docs/schemas. */
import { z } from "zod";
import { type Described, readFieldComments } from "./field-comments.js";
import {
  type Conversation,
  conversations,
  type WireMessage,
  type WireMessageName,
  wireMessageNames,
  wireMessages,
} from "./wire-messages.js";

export type JsonSchema = z.core.JSONSchema.BaseSchema;

const DRAFT = "https://json-schema.org/draft/2020-12/schema";

const comments = readFieldComments();

export function jsonSchemaOf(name: WireMessageName): JsonSchema {
  const { constant, schema, alsoHolds }: Omit<WireMessage, "name"> = wireMessages[name];
  const { $schema: _, ...body } = bareSchemaOf(schema);
  const described = comments.get(constant);
  if (described === undefined) throw new Error(`src/protocol exports no ${constant}`);
  describe(body, described);
  const description = described.comment === null ? {} : { description: described.comment };
  return { $schema: DRAFT, $id: `urn:perdure:${name}`, title: titleOf(name), ...description, ...body, ...alsoHolds };
}

/** As a sender has to write it: what has a default may be left out, and unknown fields are allowed. */
function bareSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: "input",
    override: ({ zodSchema, jsonSchema }) => {
      // A list that is counted before its members are looked at is two schemas in a row; both hold.
      if (zodSchema instanceof z.ZodPipe) {
        const { $schema: _, ...second } = bareSchemaOf(zodSchema.out as z.ZodType);
        Object.assign(jsonSchema, second);
      }
      // Says only that keys of an object are texts.
      if (jsonSchema.propertyNames !== undefined) Reflect.deleteProperty(jsonSchema, "propertyNames");
    },
  });
}

/** Puts what the source says of each field beside it, however deep it lies. */
function describe(schema: JsonSchema, { fields }: Described): void {
  if (fields === null) return;
  const object = objectWithin(schema);
  for (const [name, field] of Object.entries(object?.properties ?? {})) {
    const described = fields.get(name);
    if (typeof field === "boolean" || described === undefined) continue;
    if (described.comment !== null) field.description = described.comment;
    describe(field, described);
  }
}

/** The object that a schema is about: itself, the members of a list, or the values of a record. */
function objectWithin(schema: JsonSchema): JsonSchema | null {
  if (schema.properties !== undefined) return schema;
  const { items, additionalProperties } = schema;
  for (const within of [items, additionalProperties]) {
    if (typeof within === "object" && !Array.isArray(within)) return objectWithin(within);
  }
  return null;
}

const titleOf = (name: string): string => name.replaceAll("-", " ").replace(/^./, (first) => first.toUpperCase());

/** For programs: `conversations` as they are, with the files. */
export function schemaIndex(): object {
  const file = (name: WireMessageName | "NATS PubAck") => (name === "NATS PubAck" ? null : `${name}.json`);
  return {
    error: file("error-reply"),
    conversations: conversations.map(({ subject, from, to, message, reply }) => ({
      subject,
      from,
      to,
      message: file(message),
      ...(reply === undefined ? {} : { reply: file(reply) }),
    })),
  };
}

/** For people. */
export function schemaPage(): string {
  const link = (name: WireMessageName) => `[${name}](${name}.json)`;
  const row = ({ subject, from, to, message, reply }: Conversation) => {
    const answer = reply === undefined ? "" : reply === "NATS PubAck" ? "PubAck of the stream" : link(reply);
    return `| \`${subject}\` | ${from} → ${to} | ${link(message)} | ${answer} |`;
  };
  const summary = (name: WireMessageName) => `| ${link(name)} | ${jsonSchemaOf(name).description ?? ""} |`;
  return `${PAGE_HEAD}
| subject | from → to | message | answer |
|---|---|---|---|
${conversations.map(row).join("\n")}

| message | |
|---|---|
${wireMessageNames.map(summary).join("\n")}
`;
}

const PAGE_HEAD = `# JSON Schema of every message

Generated from \`src/protocol\` by \`npm run generate\`, one file a message, draft 2020-12; [index.json](index.json) says the
same as the first table for programs. What the messages mean is in [the wire protocol](../wire-protocol.md).

A message that fits its schema is not refused for its shape. A schema cannot say everything that is:

- a field has its bound in bytes (131,072 of JSON for \`input\`, \`metadata\`, \`output\`, \`progress\` and \`metrics\`), and a
  message may be nested 256 levels deep;
- lengths of texts count UTF-16 units, of which an emoji takes two;
- \`maximumIntervalMs\` is not below \`initialIntervalMs\`;
- ids must name what there is, and the \`agentId\` of a message is that of its subject.

Fields that a schema does not know are allowed everywhere, and ignored: later versions may send some. \`mcp\` is the default
namespace. Every request may be answered with an [error-reply](error-reply.json) instead; a result is acknowledged by
its stream in NATS' own words, \`{"stream":"MCP_RESULTS","seq":1}\`. The journal is for reading only.
`;
