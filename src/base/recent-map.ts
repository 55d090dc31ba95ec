/** A map that forgets: it holds what was set last. */

export interface RecentMap<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): void;
}

/** Holds at least the last `max` keys and at most twice as many. */
export function createRecentMap<V>(max: number): RecentMap<V> {
  // Two generations: to drop the oldest key at each set would cost more than all else here.
  let younger = new Map<string, V>();
  let older = new Map<string, V>();
  return {
    get: (key) => younger.get(key) ?? older.get(key),
    set(key, value) {
      older.delete(key);
      if (younger.size >= max && !younger.has(key)) [older, younger] = [younger, new Map<string, V>()];
      younger.set(key, value);
    },
    delete(key) {
      younger.delete(key);
      older.delete(key);
    },
  };
}
