/** What presence wants of users who are on other nodes. */
import type { Seen } from './compose.ts';

/** Users who are watched here and online elsewhere. */
export interface FarSight {
  /** There is one more watcher of him here. */
  watched(uid: string): void;
  /** Nobody watches him here any more. */
  unwatched(uid: string): void;
  /** He has logged in here, at this epoch. */
  here(uid: string, epoch: number): void;
  /** A session of his has ended here. */
  left(uid: string): void;
  /** What his node says of him; who may see it is another matter. */
  state(uid: string): Seen;
  /** Resolves when it is known of him what can be known, and after a second at most; null where it is known now. */
  ready(uid: string): Promise<void> | null;
  close(): void;
}
