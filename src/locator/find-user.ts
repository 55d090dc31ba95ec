/** Finds a user in the directory by uid or by number. */
import { isUid } from '../base/model.ts';
import type { Region } from '../base/model.ts';
import type { Clock } from '../base/ports.ts';
import type { Directory, Entry, Suffices } from '../directory/directory.ts';
import { readNumber } from './numbers.ts';

const REGIONS_AGE_MS_MAX = 60_000;

export class UserFinder {
  readonly #directory: Directory;
  readonly #clock: Clock;
  #regions: readonly Region[] = [];
  #readAt = -Infinity;

  constructor(directory: Directory, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /**
   * An exact uid wins, then the longest country code; null where nobody is known by that name. `suffices`: as for
   * `Directory.find`.
   */
  async find(uidOrNumber: string, suffices?: Suffices<[Entry | null]>): Promise<Entry | null> {
    if (!isUid(uidOrNumber)) return null;
    const exact = await this.#directory.find(uidOrNumber, suffices);
    if (exact !== null || !uidOrNumber.startsWith('0')) return exact;
    for (const { countryCode, uid } of readNumber(uidOrNumber, await this.#freshRegions())) {
      const entry = await this.#directory.find(uid, suffices);
      if (entry?.user.countryCode === countryCode) return entry;
    }
    return null;
  }

  async #freshRegions(): Promise<readonly Region[]> {
    if (this.#clock.now() - this.#readAt > REGIONS_AGE_MS_MAX) {
      this.#regions = await this.#directory.regions();
      this.#readAt = this.#clock.now();
    }
    return this.#regions;
  }
}
