/** Messages that wait for their recipients: the port that a directory with a place for them implements. */

export interface Message {
  /** Uid of the sender. */
  readonly from: string;
  /** Uid of the recipient. */
  readonly to: string;
  /** The sender's own id of it: together with `from` it tells a repeated message from a new one. 1–64 characters. */
  readonly id: string;
  readonly contentType: string;
  readonly body: string;
  /** Epoch milliseconds. */
  readonly sentAt: number;
}

export interface StoredMessage extends Message {
  /** Rises with each message of the store, and is never used again. */
  readonly number: number;
}

/** A recipient lately stored for. */
export interface StoredFor {
  readonly number: number;
  readonly to: string;
}

/** Rejects as the directory does. `sinceMs`: older messages are not there any more, removed or not. */
export interface MessageStore {
  /** `repeated`: it is stored already; `full`: as many as he may have wait; `unknown`: there is no such recipient. */
  add(message: Message, sinceMs: number): Promise<StoredMessage | 'repeated' | 'full' | 'unknown'>;
  /** Those for him behind the number `after`, in the order in which they came; at most MESSAGES_PAGE. */
  list(to: string, after: number, sinceMs: number): Promise<readonly StoredMessage[]>;
  /** For whom of these, RECIPIENTS_MAX at most, something is there. */
  recipientsAmong(uids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Whether it was there. */
  remove(to: string, number: number): Promise<boolean>;
  /** For whom something was stored behind the number `after`, by whatever node; at most RECENT_PAGE. */
  recent(after: number): Promise<readonly StoredFor[]>;
  /** Removes what is older, at most MESSAGES_PAGE_OLD; how many. */
  removeBefore(sentAt: number): Promise<number>;
}

/** A recipient has no more than so many waiting. */
export const MESSAGES_MAX = 1_000;
export const MESSAGES_PAGE = 20;
export const MESSAGES_PAGE_OLD = 500;
export const RECENT_PAGE = 500;
export const RECIPIENTS_MAX = 512;
