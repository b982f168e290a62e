import fc from "fast-check";
import { expect, it } from "vitest";
import {
  type AgentId,
  DEFAULT_NAMESPACE,
  ID_PATTERN,
  NAMESPACE_PATTERN,
  type Namespace,
} from "../../src/protocol/ids.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { agentId } from "../support/given.js";

const anyAgentId = fc.stringMatching(ID_PATTERN).map((text) => text as AgentId);
const anyNamespace = fc.stringMatching(NAMESPACE_PATTERN).map((text) => text as Namespace);

const subjects = subjectsOf(DEFAULT_NAMESPACE);

it("speaks on the subjects that agents and clients know", () => {
  const spoken = Object.values(subjects).filter((subject) => typeof subject === "string");
  expect([...spoken, subjects.agentTask(agentId("cam-2"))].sort()).toMatchInlineSnapshot(`
    [
      "mcp.>",
      "mcp.agent.*.heartbeat",
      "mcp.agent.*.result",
      "mcp.agent.*.status",
      "mcp.agent.*.task",
      "mcp.agent.cam-2.task",
      "mcp.agent.register",
      "mcp.journal",
      "mcp.orchestrator.health",
      "mcp.orchestrator.system.event",
      "mcp.orchestrator.system.status",
      "mcp.orchestrator.task.cancel",
      "mcp.orchestrator.task.explain",
      "mcp.orchestrator.task.get",
      "mcp.orchestrator.task.list",
      "mcp.orchestrator.task.submit",
      "mcp.orchestrator.task.wait",
      "mcp.orchestrator.workflow.cancel",
      "mcp.orchestrator.workflow.history",
      "mcp.orchestrator.workflow.query",
      "mcp.orchestrator.workflow.reset",
      "mcp.orchestrator.workflow.signal",
      "mcp.orchestrator.workflow.terminate",
      "mcp.orchestrator.workflow.update",
    ]
  `);
});

it("finds the agent in every subject that was built for it", () => {
  fc.assert(
    fc.property(anyNamespace, anyAgentId, (namespace, id) => {
      const { agentTask, agentResult, agentStatus, agentHeartbeat, agentIdOf } = subjectsOf(namespace);
      const found = [agentTask, agentResult, agentStatus, agentHeartbeat].map((build) => agentIdOf(build(id)));
      expect(found).toEqual([id, id, id, id]);
    }),
  );
});

it("builds subjects of four tokens, each of which a NATS server takes", () => {
  fc.assert(
    fc.property(anyNamespace, anyAgentId, (namespace, id) => {
      expect(subjectsOf(namespace).agentResult(id)).toMatch(/^[^\s.*>]+\.agent\.[^\s.*>]+\.result$/);
    }),
  );
});

it.each([
  "mcp.agent.register",
  "mcp.agent.*.result",
  "mcp.agent.a.b.result",
  "mcp.agent..result",
  "abc.agent.cam-2.result",
  "mcp.orchestrator.health",
  "mcp.agent",
  "cam-2",
  "",
])("finds no agent in %j", (subject) => {
  expect(subjects.agentIdOf(subject)).toBeNull();
});

it("gives no two namespaces a stream, bucket or subject in common", () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyNamespace, { minLength: 2, maxLength: 2 }), (namespaces) => {
      const names = namespaces.flatMap((namespace) => {
        const { journal, results, tasks, endedTasks, agents, meta } = topologyOf(namespace);
        const buckets = [tasks, endedTasks, agents, meta].map(({ bucket }) => bucket);
        return [journal, results].flatMap(({ name, subjects }) => [name, ...subjects]).concat(buckets);
      });
      expect(new Set(names).size).toBe(names.length);
    }),
  );
});
