/** The agents under the permissions of docs/two-accounts.conf, with a user and a password and no right too many. */
import { beforeAll, expect, it } from "vitest";
import { useTwoAccounts } from "../../security/two-accounts.js";
import { AgentProcess, expectInterpreters, python, shell } from "./agent-process.js";

beforeAll(expectInterpreters);
const system = useTwoAccounts();

it.each([python, shell])("lets the agent in $name do all it has to", { timeout: 60_000 }, async (language) => {
  const { servers, user, password } = system.as("camera-1");
  const url = servers.replace("://", `://${user}:${password}@`);
  const agent = new AgentProcess(language, "camera-1", ["--server", url, "--give-up-after", "30"]);
  await agent.registered();
  const input = { text: "ünder rights" };
  const { taskId } = await system.client.submit({ type: "text-echo", input });
  expect(await system.client.result(taskId, { timeoutMs: 20_000 })).toEqual(input);
  agent.send("SIGTERM");
  expect(await agent.ended()).toBe(0);
  expect(agent.printed).not.toContain("the server says");
  expect(agent.printed).not.toContain(password);
});
