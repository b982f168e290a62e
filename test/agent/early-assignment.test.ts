import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { givenScene } from "./given.js";

const nats = useNats();

it("runs what it is given together with its registration, at once", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  let taskId = "";
  // An orchestrator with a backlog sends both in one go; the server may deliver them in one piece.
  orchestrator.answerRegistration = ({ agentId }) => {
    taskId = orchestrator.assign(agentId, { incarnation: 1, input: "first" }).taskId;
    return { status: orchestrator.registered(agentId) };
  };

  await agent("cam-1").start();

  expect(await orchestrator.resultOf(taskId)).toMatchObject({ incarnation: 1, output: "first" });
});

it("leaves what was meant for another process of its id, also when it came early", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  orchestrator.incarnation = 2;
  orchestrator.answerRegistration = ({ agentId }) => {
    orchestrator.assign(agentId, { incarnation: 1, input: "for the one before" });
    return { status: orchestrator.registered(agentId) };
  };

  await agent("cam-1").start();

  const { taskId } = orchestrator.assign("cam-1", { incarnation: 2, input: "for this one" });
  await orchestrator.resultOf(taskId);
  expect(orchestrator.results.map(({ output }) => output)).toEqual(["for this one"]);
});
