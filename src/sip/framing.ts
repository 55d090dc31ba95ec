/**
 * Cuts a stream of bytes into SIP messages by Content-Length (RFC 3261 7.5, 18.3, 20.14), with the keep-alives of
 * RFC 5626 4.4.1 between them. What is cut wrongly here could not be put right by anybody behind: after a fault the
 * stream can't be read on.
 */
import { MESSAGE_BYTES_MAX } from './message.ts';

export interface FrameHandlers {
  /** A whole message, or, as the last before a fault, what there is of it. `bytes` is only valid during the call. */
  onMessage(bytes: Buffer): void;
  /** A double CRLF: a single one is to be sent back. At most once a chunk. */
  onPing(): void;
  /** Asked after each message, which may have made somebody close the stream. */
  isOpen(): boolean;
}

const CR = 0x0d;
const LF = 0x0a;
const DOUBLE_CRLF = Buffer.from('\r\n\r\n');
/** One byte more than a message may have, so that the parser sees that it is too long. */
const KEPT_BYTES_MAX = MESSAGE_BYTES_MAX + 1;
/** A larger buffer is given back after its message: there may be many connections. */
const IDLE_BYTES_MAX = 2_048;

export class StreamFraming {
  readonly #handlers: FrameHandlers;
  /** The beginning of a message that has not ended, in a buffer that may be longer. */
  #kept: Buffer = EMPTY;
  #length = 0;
  /** From where on the end of its head is to be looked for. */
  #searchFrom = 0;
  /** Bytes of its head and body; 0 until its head has ended. */
  #size = 0;
  /** How much of a double CRLF stands before the next byte. */
  #lineEnds = 0;
  #messages = 0;

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  /** Whether a message has begun and not ended. */
  get isHalf(): boolean {
    return this.#length > 0;
  }

  /** How many messages were cut. */
  get messages(): number {
    return this.#messages;
  }

  /** The next bytes of the stream. False where it can't or mustn't be read on: close it. */
  push(chunk: Buffer): boolean {
    let at = 0;
    let pinged = false;
    while (at < chunk.length && this.#handlers.isOpen()) {
      const before = this.#length;
      if (before === 0) {
        const start = this.#skipLineEnds(chunk, at);
        if (start.pinged && !pinged) this.#handlers.onPing();
        pinged ||= start.pinged;
        at = start.at;
        if (at === chunk.length) break;
      } else this.#keep(chunk.subarray(at, at + (this.#size === 0 ? KEPT_BYTES_MAX : this.#size) - before));
      const bytes = before === 0 ? chunk.subarray(at) : this.#kept.subarray(0, this.#length);
      const whole = this.#measure(bytes);
      if (whole === 'fault') {
        this.#deliver(bytes.subarray(0, this.#size === 0 ? KEPT_BYTES_MAX : this.#size));
        return false;
      }
      if (!whole) {
        if (before === 0) this.#keep(bytes);
        break;
      }
      at += this.#size - before;
      this.#deliver(bytes.subarray(0, this.#size));
    }
    return this.#handlers.isOpen();
  }

  /** Where a message begins, or the chunk ends; and whether a double CRLF stood before it. */
  #skipLineEnds(chunk: Buffer, from: number): { at: number; pinged: boolean } {
    let pinged = false;
    let at = from;
    for (; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte !== CR && byte !== LF) {
        this.#lineEnds = 0;
        break;
      }
      this.#lineEnds = byte === DOUBLE_CRLF[this.#lineEnds] ? this.#lineEnds + 1 : byte === CR ? 1 : 0;
      if (this.#lineEnds === DOUBLE_CRLF.length) {
        this.#lineEnds = 0;
        pinged = true;
      }
    }
    return { at, pinged };
  }

  /** Whether the message at the start of the bytes is whole. Finds its size, of a faulty one as far as it is known. */
  #measure(bytes: Buffer): boolean | 'fault' {
    if (this.#size === 0) {
      const end = bytes.indexOf(DOUBLE_CRLF, this.#searchFrom);
      const head = end < 0 ? bytes.length : end + DOUBLE_CRLF.length;
      if (head > MESSAGE_BYTES_MAX) return 'fault';
      if (end < 0) {
        this.#searchFrom = Math.max(0, bytes.length - DOUBLE_CRLF.length + 1);
        return false;
      }
      const body = contentLength(bytes.toString('latin1', 0, head));
      const isTooLong = body === null || head + body > MESSAGE_BYTES_MAX;
      this.#size = isTooLong ? head : head + body;
      if (isTooLong) return 'fault';
    }
    return bytes.length >= this.#size;
  }

  #keep(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#kept.length) {
      // Doubled, so that a stream of single bytes is not copied again and again.
      const larger = Buffer.allocUnsafe(Math.max(needed, Math.min(this.#kept.length * 2, KEPT_BYTES_MAX)));
      this.#kept.copy(larger, 0, 0, this.#length);
      this.#kept = larger;
    }
    bytes.copy(this.#kept, this.#length);
    this.#length = needed;
  }

  #deliver(bytes: Buffer): void {
    this.#messages++;
    this.#length = 0;
    this.#size = 0;
    this.#searchFrom = 0;
    if (this.#kept.length > IDLE_BYTES_MAX) this.#kept = EMPTY;
    this.#handlers.onMessage(bytes);
  }
}

const EMPTY = Buffer.alloc(0);

/** The one Content-Length of the head, in bytes; null where there is none, several, or one that is no number. */
function contentLength(head: string): number | null {
  const [first, second] = head.matchAll(LENGTH_HEADER);
  if (first === undefined || second !== undefined) return null;
  const value = (first[1] ?? '').trim();
  return /^\d{1,9}$/.test(value) ? Number(value) : null;
}
/** With the lines that are folded into it. */
const LENGTH_HEADER = /\n(?:content-length|l)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)/gi;

/** Of a WebSocket message, which holds one SIP message (RFC 7118 5) or the keep-alive of RFC 5626. */
export function kindOfFrame(bytes: Buffer): 'message' | 'ping' | 'nothing' {
  if (bytes.equals(DOUBLE_CRLF)) return 'ping';
  return isOnlyLineEnds(bytes) ? 'nothing' : 'message';
}

/** Keep-alives without an answer: nothing but line ends and zeros, as some phones send them over UDP. */
export function isOnlyLineEnds(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== CR && byte !== LF && byte !== 0) return false;
  return true;
}
