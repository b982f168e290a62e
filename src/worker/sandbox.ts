/** What a process that runs workflow code needs once, before it does. */
import { installSandboxGlobals } from "../replay/sandbox-globals.js";
import { installNodeCrypto } from "./node-crypto.js";
import { watchOutside } from "./watch-outside.js";

export function installSandbox(): void {
  installSandboxGlobals();
  installNodeCrypto();
  watchOutside();
}
