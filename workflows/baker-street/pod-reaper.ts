/**
 * Ends the pods of a launcher that was killed: a shell of its own that is told which process groups there are, and ends those
 * that are left when the pipe to the launcher breaks, however that came.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Writable } from "node:stream";

const script = `
trap '' HUP INT TERM
pods=
while read -r sign pod; do
  case $sign in
    +) pods="$pods $pod" ;;
    -) left=; for one in $pods; do [ "$one" = "$pod" ] || left="$left $one"; done; pods=$left ;;
  esac
done
for pod in $pods; do kill -s KILL -- "-$pod" 2>/dev/null; done
`;

export class PodReaper {
  readonly #pods = new Set<number>();
  #shell: ChildProcessByStdio<Writable, null, null> | undefined;

  /** `pod` is its process group's id. */
  add(pod: number): void {
    this.#pods.add(pod);
    if (this.#shell?.exitCode === null && this.#shell.signalCode === null) this.#tell("+", pod);
    else this.#start();
  }

  remove(pod: number): void {
    this.#pods.delete(pod);
    this.#tell("-", pod);
  }

  close(): void {
    this.#shell?.stdin.end();
  }

  #start(): void {
    const shell = spawn("/bin/sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    shell.once("error", (fault) => console.error("nobody will end the pods of this launcher if it is killed:", fault));
    // One that is gone is replaced with the next pod.
    shell.stdin.on("error", () => undefined);
    shell.unref();
    this.#shell = shell;
    for (const pod of this.#pods) this.#tell("+", pod);
  }

  #tell(sign: "+" | "-", pod: number): void {
    this.#shell?.stdin.write(`${sign} ${pod}\n`);
  }
}
