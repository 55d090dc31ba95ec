/** So many a second and no more, with one second's worth at once. */
export class Pace {
  readonly #aSecond: number;
  #left: number;
  #atMs: number;

  constructor(aSecond: number, nowMs: number) {
    this.#aSecond = aSecond;
    this.#left = aSecond;
    this.#atMs = nowMs;
  }

  /** Takes one, where one is left. */
  take(nowMs: number): boolean {
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    this.#left = Math.min(this.#aSecond, this.#left + (elapsedMs / 1000) * this.#aSecond);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
