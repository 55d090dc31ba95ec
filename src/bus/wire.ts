/** What carries the messages between nodes: NATS, or the one in memory of the tests. It may lose, repeat and reorder. */
export interface Wire {
  /** Whether a message would go out now. */
  readonly isUp: boolean;
  /** Fire and forget; dropped where the wire is down. */
  publish(subject: string, bytes: Uint8Array): void;
  /** The first answer. `nobody`: it is known that no node listens there; `silence`: none came in time. */
  request(subject: string, bytes: Uint8Array, withinMs: number): Promise<Uint8Array | 'nobody' | 'silence'>;
  /** `answer` is null where nobody waits for one. Holds over every reconnect. */
  subscribe(
    subject: string,
    onMessage: (bytes: Uint8Array, answer: ((bytes: Uint8Array) => void) | null) => void,
  ): void;
  close(): Promise<void>;
}
