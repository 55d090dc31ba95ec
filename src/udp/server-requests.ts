/**
 * Requests that the server sends on its own: at once and again 0.5, 1, 2 and 4 s later, until the client's signed `Ok`
 * or 8 s have passed (PROTOCOL.md section 1). The id begins with `s`, and they carry a `mac` of the session.
 */
import type { OnlineTable } from '../heartbeat/online.ts';
import type { DatagramSocket, Random, Timer, Timers } from '../base/ports.ts';
import { macOf } from '../login/proof.ts';
import { encodeSigned } from './encode.ts';
import { slice } from './parts.ts';
import type { ReplyText } from './replies.ts';

/** Between one repetition and the next; after the last one the `Ok` still has time to come. */
const PAUSES_MS = [500, 500, 1_000, 2_000, 4_000] as const;
const ID_BYTES = 8;
/** What waits for its `Ok`, of one session and of all. Past these bounds a request is sent once. */
const WAITING_MAX_SESSION = 16;
const WAITING_MAX = 10_000;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;

export interface ServerRequests {
  /**
   * Sends it to the address that the session has at each repetition, in Parts where it is long. Resolves with whether
   * the `Ok` came; at once with false where there is no address, or where too many wait already. Never rejects.
   */
  send(socket: DatagramSocket, row: number, text: ReplyText): Promise<boolean>;
  /** The client's signed `Ok` has come. */
  acknowledged(cookie: string, id: string): void;
  /** Nothing is repeated any more; what waits is not acknowledged. */
  close(): void;
}

interface Waiting {
  readonly bytes: number;
  timer: Timer | undefined;
  readonly done: (isAcknowledged: boolean) => void;
}

export function createServerRequests(options: {
  table: Pick<OnlineTable, 'sessions'>;
  timers: Timers;
  random: Random;
}): ServerRequests {
  const { timers, random } = options;
  const { sessions } = options.table;
  /** By cookie, then by id. */
  const waiting = new Map<string, Map<string, Waiting>>();
  let count = 0;
  let bytesWaiting = 0;

  const end = (cookie: string, id: string, isAcknowledged: boolean): void => {
    const ofSession = waiting.get(cookie);
    const one = ofSession?.get(id);
    if (ofSession === undefined || one === undefined) return;
    ofSession.delete(id);
    if (ofSession.size === 0) waiting.delete(cookie);
    count--;
    bytesWaiting -= one.bytes;
    one.timer?.cancel();
    one.done(isAcknowledged);
  };

  const wait = (cookie: string, id: string, bytes: number, sendAgain: () => void): Promise<boolean> =>
    new Promise((done) => {
      const ofSession = waiting.get(cookie) ?? new Map<string, Waiting>();
      const one: Waiting = { bytes, timer: undefined, done };
      waiting.set(cookie, ofSession.set(id, one));
      count++;
      bytesWaiting += bytes;
      const pause = (index: number): void => {
        one.timer = timers.after(PAUSES_MS[index] ?? 0, () => {
          if (index + 1 >= PAUSES_MS.length) {
            end(cookie, id, false);
            return;
          }
          pause(index + 1);
          sendAgain();
        });
      };
      pause(0);
    });

  return {
    send(socket, row, { verb, argument, headers, body }) {
      const id = `s${random.bytes(ID_BYTES).toString('hex')}`;
      const cookie = sessions.cookie(row);
      const message = encodeSigned(sessions.key(row), macOf, verb, argument, id, headers, body);
      const datagrams = slice(id, message);
      if (datagrams === null) throw new Error(`a ${verb} of ${message.length} bytes was to be sent`);
      const sendNow = (): void => {
        // The device may have moved meanwhile, and its session may be forgotten.
        const now = sessions.find(cookie);
        const wan = now < 0 ? undefined : sessions.wan(now);
        if (wan !== undefined && wan.port !== 0) for (const datagram of datagrams) socket.send(datagram, wan);
      };
      const hasRoom =
        (waiting.get(cookie)?.size ?? 0) < WAITING_MAX_SESSION &&
        count < WAITING_MAX &&
        bytesWaiting + message.length <= WAITING_BYTES_MAX;
      // Known before it is sent: the Ok may come at once.
      const isAddressed = sessions.wan(row).port !== 0;
      const acknowledged = hasRoom && isAddressed ? wait(cookie, id, message.length, sendNow) : Promise.resolve(false);
      sendNow();
      return acknowledged;
    },
    acknowledged(cookie, id) {
      end(cookie, id, true);
    },
    close() {
      for (const [cookie, ofSession] of waiting) for (const id of ofSession.keys()) end(cookie, id, false);
    },
  };
}
