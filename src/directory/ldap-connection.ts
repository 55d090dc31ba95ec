/** One connection to an LDAP server (RFC 4511): many requests under way at once, each with its answer. */
import type { Duplex } from 'node:stream';
import { MessageParser, StatusCodeParser, UnbindRequest } from 'ldapts';
import type { Control } from 'ldapts';
import { enter, malformed, messageEnd, readInteger, TAG } from './ldap-ber.ts';
import type { Cursor } from './ldap-ber.ts';
import { OP, readEntry } from './ldap-messages.ts';
import type { Found } from './ldap-messages.ts';

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
const ID_MAX = 2 ** 31 - 1;
const SUCCESS = 0;

export interface Answer {
  /** Of a search. */
  readonly entries: readonly Found[];
  readonly controls: readonly Control[];
}

/** The bytes of a request under the id that the connection gives it. */
export type Request = (messageId: number) => Buffer;

export interface LdapConnection {
  readonly isOpen: boolean;
  /**
   * Rejects with ldapts' ResultCodeError where the server answered no, with another error where the connection ended
   * before the answer. What one turn of the event loop sends goes out in one system call.
   */
  send(request: Request): Promise<Answer>;
  /** Says goodbye, without waiting for what is under way. */
  close(): void;
  /** Leaves the socket to somebody else, who speaks TLS on it; throws where something is under way. */
  release(): void;
}

interface Pending {
  readonly entries: Found[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** `socket` is connected. */
export function ldapConnection(socket: Duplex): LdapConnection {
  const pending = new Map<number, Pending>();
  let lastId = 0;
  let isOpen = true;
  /** The beginning of a message. */
  let rest: Buffer = Buffer.alloc(0);
  let outgoing: Buffer[] = [];

  const end = (error: Error): void => {
    isOpen = false;
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  };
  const fail = (error: Error): void => {
    end(error);
    socket.destroy();
  };
  const flush = (): void => {
    const bytes = outgoing;
    outgoing = [];
    if (isOpen) socket.write(Buffer.concat(bytes));
  };
  const receive = (data: Buffer): void => {
    const bytes = rest.length === 0 ? data : Buffer.concat([rest, data]);
    const cursor = { bytes, at: 0 };
    try {
      let from = 0;
      for (let to; (to = messageEnd(bytes, from, MESSAGE_BYTES_MAX)) >= 0; from = to) {
        cursor.at = from;
        take(pending, cursor, to);
      }
      rest = bytes.subarray(from);
    } catch (error) {
      fail(error instanceof Error ? error : malformed());
    }
  };
  const closed = (): void => end(new Error('the connection was closed'));
  socket.on('data', receive);
  socket.on('error', fail);
  socket.on('close', closed);

  return {
    get isOpen() {
      return isOpen;
    },
    send: (request) =>
      new Promise((resolve, reject) => {
        if (!isOpen) throw new Error('the connection was closed');
        lastId = lastId === ID_MAX ? 1 : lastId + 1;
        const bytes = request(lastId);
        pending.set(lastId, { entries: [], resolve, reject });
        // After the promises of this turn: one answer of the server lets many go on.
        if (outgoing.length === 0) process.nextTick(flush);
        outgoing.push(bytes);
      }),
    close() {
      if (!isOpen) return;
      closed();
      socket.end(new UnbindRequest({ messageId: lastId + 1 }).write(), () => socket.destroy());
    },
    release() {
      // What came behind the last answer came before TLS: anybody may have sent it.
      if (pending.size > 0 || rest.length > 0) throw malformed();
      isOpen = false;
      socket.removeListener('data', receive);
    },
  };
}

/** Gives the message from `cursor` to `end` to who waits for it. */
function take(pending: Map<number, Pending>, cursor: Cursor, end: number): void {
  const from = cursor.at;
  enter(cursor, TAG.sequence, end);
  const id = readInteger(cursor, TAG.integer, end);
  const asked = pending.get(id);
  // 0: the server says why it will close the connection.
  if (asked === undefined) return;
  const op = cursor.bytes[cursor.at] ?? 0;
  const opEnd = enter(cursor, op, end);
  if (op === OP.searchReference) return;
  if (op === OP.searchEntry) {
    asked.entries.push(readEntry(cursor, opEnd));
    return;
  }
  // Most answers are a plain yes.
  if (opEnd === end && readInteger(cursor, TAG.enumerated, opEnd) === SUCCESS) {
    asked.resolve({ entries: asked.entries, controls: [] });
  } else {
    const { status, controls, error } = readResult(cursor.bytes.subarray(from, end));
    if (status === SUCCESS) asked.resolve({ entries: asked.entries, controls });
    else asked.reject(error);
  }
  pending.delete(id);
}

interface Result {
  readonly status: number;
  readonly controls: readonly Control[];
  readonly error: Error;
}

/** Any other answer, as ldapts reads it. */
function readResult(bytes: Buffer): Result {
  let result: Result | undefined;
  const parser = new MessageParser();
  parser.on('message', (response) => {
    const { status, controls = [] } = response;
    result = { status, controls, error: StatusCodeParser.parse(response) };
  });
  parser.on('error', (error) => {
    throw error;
  });
  parser.read(bytes, new Map());
  if (result === undefined) throw malformed();
  return result;
}
