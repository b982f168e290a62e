/** The orchestrator is killed again and again, and the server under it, while all kinds of tasks run. */
import { setImmediate as nextTurn } from "node:timers";
import { expect, it } from "vitest";
import type { TaskHandler } from "../../src/agent/task-handler.js";
import type { TaskView } from "../../src/protocol/task-message.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { givenScene, type Scene } from "./scene.js";

const nats = useNats();
