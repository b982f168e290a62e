export { type LocalSystem, type LocalSystemOptions, startLocalSystem } from "./local-system.js";
