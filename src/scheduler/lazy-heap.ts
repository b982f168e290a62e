/**
 * A binary heap whose items may die while they are in it. Taking an item out of the middle would need an index of
 * positions; instead a dead one stays until it surfaces, and when more than half are dead the heap is rebuilt. So
 * pushes and pops are O(log n) and memory stays within twice what is alive.
 */
export class LazyHeap<T> {
  #items: T[] = [];
  #dead = 0;
  readonly #before: (a: T, b: T) => boolean;
  readonly #isAlive: (item: T) => boolean;

  /** Below this many dead items a rebuild is not worth its while. */
  static readonly DEAD_MIN = 1_000;

  constructor(options: { before: (a: T, b: T) => boolean; isAlive: (item: T) => boolean }) {
    this.#before = options.before;
    this.#isAlive = options.isAlive;
  }

  /** Items held, dead ones included. */
  get heldCount(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#siftUp(this.#items.length - 1);
  }

  /** The first living item, left where it is. */
  peek(): T | undefined {
    for (;;) {
      const first = this.#items[0];
      if (first === undefined || this.#isAlive(first)) return first;
      this.#removeFirst();
      if (this.#dead > 0) this.#dead -= 1;
    }
  }

  pop(): T | undefined {
    const first = this.peek();
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  /** Says that an item in the heap has died. */
  noteDeath(): void {
    this.#dead += 1;
    if (this.#dead < LazyHeap.DEAD_MIN || this.#dead * 2 < this.#items.length) return;
    this.#items = this.#items.filter(this.#isAlive);
    this.#dead = 0;
    for (let index = (this.#items.length >> 1) - 1; index >= 0; index -= 1) this.#siftDown(index);
  }

  #removeFirst(): void {
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return;
    this.#items[0] = last;
    this.#siftDown(0);
  }

  #siftUp(start: number): void {
    const items = this.#items;
    const item = items[start] as T;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = items[parent] as T;
      if (!this.#before(item, above)) break;
      items[index] = above;
      index = parent;
    }
    items[index] = item;
  }

  #siftDown(start: number): void {
    const items = this.#items;
    const item = items[start] as T;
    const { length } = items;
    let index = start;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#before(items[child + 1] as T, items[child] as T)) child += 1;
      const below = items[child] as T;
      if (!this.#before(below, item)) break;
      items[index] = below;
      index = child;
    }
    items[index] = item;
  }
}
