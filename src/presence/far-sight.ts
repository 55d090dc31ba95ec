/** What presence wants of users who are on other nodes, and of those nodes. */
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

/** What a node says of one of its users, or that he is none (any more). */
export interface FarState {
  readonly uid: string;
  readonly seen: Seen;
  /** Digest of his record as that node knows it; '' where he is not there. */
  readonly version: string;
}

/** What a node said at one moment: `order` rises with everything that it says. */
export interface FarStates {
  readonly order: number;
  readonly states: readonly FarState[];
}

/** The other nodes. */
export interface Owners {
  readonly isUp: boolean;
  /** Asks to be told of these users from now on, at most WATCH_PAGE of them; undefined where there is no answer. */
  watch(node: string, uids: readonly string[]): Promise<FarStates | undefined>;
  /** Tells all of them that this user is here now. */
  arrived(uid: string, epoch: number): void;
}

/** Users in one question. */
export const WATCH_PAGE = 64;
