/** What was asked is done once, however often it is asked: the same question gets the answer that was given. */
export class RecentAnswers<Answer> {
  readonly #answers = new Map<string, Promise<Answer>>();
  readonly #kept: number;

  constructor(kept = 1_000) {
    this.#kept = kept;
  }

  give(key: string, work: () => Promise<Answer>): Promise<Answer> {
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = work();
    this.#answers.set(key, answer);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > this.#kept && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }
}
