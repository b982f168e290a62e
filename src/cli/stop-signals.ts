/** Ctrl-C and its like: the first asks for an end in order, the next ends the process as if nobody had listened. */
export interface StopSignals {
  readonly signal: AbortSignal;
  forget(): void;
}

export function listenToStopSignals(names: readonly NodeJS.Signals[]): StopSignals {
  const stopping = new AbortController();
  const forget = (): void => {
    for (const name of names) process.off(name, stop);
  };
  const stop = (): void => {
    forget();
    stopping.abort();
  };
  for (const name of names) process.on(name, stop);
  return { signal: stopping.signal, forget };
}
