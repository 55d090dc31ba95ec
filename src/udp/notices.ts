/** Requests that the server sends on its own: repeated 0.5, 1, 2, 4 s after they were sent, until the client's signed `Ok`. */
import type { Address } from '../base/model.ts';
import type { Random, Timer, Timers } from '../base/ports.ts';

/** Between one repetition and the next. */
const PAUSES_MS = [500, 500, 1_000, 2_000] as const;
/** More than this wait for their `Ok`: further ones are sent once. */
const WAITING_MAX = 10_000;
const ID_BYTES = 8;

export class Notices {
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #waiting = new Map<string, Timer>();

  constructor(options: { timers: Timers; random: Random }) {
    this.#timers = options.timers;
    this.#random = options.random;
  }

  /** `make` builds the signed request with this id; `cookie` is that of the session it goes to. */
  send(cookie: string, to: Address, make: (id: string) => Buffer, send: (bytes: Buffer, to: Address) => void): void {
    const id = `s${this.#random.bytes(ID_BYTES).toString('hex')}`;
    const bytes = make(id);
    const key = `${cookie} ${id}`;
    const repeat = (tries: number): void => {
      const pauseMs = PAUSES_MS[tries];
      if (pauseMs === undefined) {
        this.#waiting.delete(key);
        return;
      }
      const timer = this.#timers.after(pauseMs, () => {
        repeat(tries + 1);
        send(bytes, to);
      });
      this.#waiting.set(key, timer);
    };
    // Known before it is sent: the Ok may come at once.
    if (this.#waiting.size < WAITING_MAX) repeat(0);
    send(bytes, to);
  }

  /** The client's signed `Ok` has come. */
  acknowledged(cookie: string, id: string): void {
    const key = `${cookie} ${id}`;
    this.#waiting.get(key)?.cancel();
    this.#waiting.delete(key);
  }

  close(): void {
    for (const timer of this.#waiting.values()) timer.cancel();
    this.#waiting.clear();
  }
}
