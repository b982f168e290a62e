/** Ctrl-C and its like: the first asks for an end in order, the next ends the process as if nobody had listened. */
export interface StopSignals {
  readonly signal: AbortSignal;
  /** Ends this process with the signal that it got, so that the shell sees what it would have seen. */
  passOn(): void;
  forget(): void;
}

export function listenToStopSignals(names: readonly NodeJS.Signals[]): StopSignals {
  const stopping = new AbortController();
  const forget = (): void => {
    for (const name of names) process.off(name, stop);
  };
  let received: NodeJS.Signals | null = null;
  const stop = (name: NodeJS.Signals): void => {
    forget();
    received = name;
    stopping.abort();
  };
  const passOn = (): void => {
    if (received !== null) process.kill(process.pid, received);
  };
  for (const name of names) process.on(name, stop);
  return { signal: stopping.signal, passOn, forget };
}
