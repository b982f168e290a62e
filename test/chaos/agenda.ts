/** What a run does later, so that it can be called off when the run ends. */
export class Agenda {
  readonly #timers = new Set<NodeJS.Timeout>();
  #isOver = false;

  after(ms: number, run: () => void): void {
    if (this.#isOver) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  /** Never resolves once the agenda was cleared. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  clear(): void {
    this.#isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
