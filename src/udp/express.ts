/**
 * The express lane of the client protocol: signed Heartbeats and Locates as clients mostly send them, answered from
 * their bytes and the columns of the online table (docs/decisions/0012-express-lane.md). A request that is in any way
 * out of the ordinary is left to decode() and onSigned(), which answer all, and these alike (held by
 * test/unit/udp-express.test.ts).
 */
import type { Address } from '../base/model.ts';
import type { DatagramSocket } from '../base/ports.ts';
import { acceptSeq, takenOf } from '../heartbeat/replay-window.ts';
import { SESSION_OPEN } from '../heartbeat/session-columns.ts';
import { lookFrom, Sight } from '../locator/sight.ts';
import type { UdpContext } from './context.ts';
import { LOCATE, MAC_LINE_AT, NONE, REQUEST, SEQ, UID_AT, UID_END } from './express-layout.ts';
import { okReply, userReply } from './express-replies.ts';
import { room } from './express-room.ts';
import { KeyStates } from './key-states.ts';
import { LookAhead } from './look-ahead.ts';
import { DATAGRAM_BYTES_MAX } from './message.ts';

const { places } = room;

export interface Express {
  /** This datagram is among those that are delivered next. */
  coming(bytes: Buffer): void;
  /** False: nothing has been done, it is left to the others. */
  take(socket: DatagramSocket, bytes: Buffer, from: Address): boolean;
}

export function createExpress({ cases, counters, memory }: UdpContext): Express {
  const { table, servers } = cases;
  const { sessions, users } = table;
  const keyStates = new KeyStates();
  const ahead = new LookAhead(sessions, memory);
  const sight = new Sight();

  const isSigned = (row: number): boolean => {
    keyStates.use(sessions, row);
    room.makeMac(REQUEST, places[MAC_LINE_AT] ?? 0);
    return room.isMac() !== 0;
  };
  /** null: another has to answer. */
  const replyTo = (isLocate: boolean, row: number): Buffer | null => {
    // A node that is leaving redirects.
    if (!isLocate) return servers.state === 'on' ? okReply(table, row) : null;
    const userRow = users.findIn(room.bytes, places[UID_AT] ?? 0, places[UID_END] ?? 0);
    if (userRow < 0 || lookFrom(table, sessions.user(row), userRow, sight) !== 'seen') return null;
    return userReply(table, sight);
  };

  const take: Express['take'] = (socket, bytes, from) => {
    ahead.look();
    const { length } = bytes;
    if (length > DATAGRAM_BYTES_MAX) return false;
    room.bytes.set(bytes, REQUEST);
    const verb = room.readHead(length);
    if (verb === NONE) return false;
    const row = sessions.findWords(room.cookie);
    if (row < 0 || sessions.state(row) !== SESSION_OPEN || !sessions.isWan(row, from) || !isSigned(row)) return false;
    const reply = replyTo(verb === LOCATE, row);
    if (reply === null) return false;
    // A repeated request has the number of the one that it repeats, so one with a fresh number is none.
    const windowAt = sessions.windowAt(row);
    if (acceptSeq(sessions.words, windowAt, places[SEQ] ?? 0) !== 'fresh') return false;
    cases.heard(row);
    socket.send(reply, from);
    const request = takenOf(sessions.words, windowAt);
    // It was heard of just now.
    const nowS = sessions.seenS(row);
    if (verb === LOCATE) {
      counters.locatesUser++;
      memory.remember(room.mac, row, request, nowS, reply);
    } else {
      counters.heartbeats++;
      memory.rememberOk(room.mac, row, request, nowS, sessions.bytes, sessions.wanAt(row));
    }
    return true;
  };
  return {
    coming(bytes) {
      ahead.coming(bytes);
    },
    take,
  };
}
