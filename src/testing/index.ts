export { type LocalSystem, type LocalSystemOptions, startLocalSystem } from "./local-system.js";
export { type ReplayOptions, type ReplayOutcome, replay } from "./replay.js";
export {
  type TaskMock,
  type TestEnvironment,
  type TestEnvironmentOptions,
  testEnvironment,
} from "./test-environment.js";
