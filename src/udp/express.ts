/**
 * The express lane of the client protocol: signed Heartbeats and Locates as clients mostly send them, answered from
 * their bytes and the columns of the online table (docs/decisions/0012-express-lane.md). A request that is in any way
 * out of the ordinary is left to decode() and onSigned(), which answer all, and these alike (held by
 * test/unit/udp-express.test.ts).
 */
import type { Address } from '../base/model.ts';
import type { DatagramSocket } from '../base/ports.ts';
import { acceptSeq, takenOf } from '../heartbeat/replay-window.ts';
import { KEY_BYTES, SESSION_OPEN } from '../heartbeat/session-rows.ts';
import { lookFrom, Sight } from '../locator/sight.ts';
import { macDifference, PAD_BYTES } from '../login/proof.ts';
import type { UdpContext } from './context.ts';
import { ExpressHead } from './express-head.ts';
import { okReply, room, userReply } from './express-replies.ts';
import { DATAGRAM_BYTES_MAX } from './message.ts';

/** False: nothing has been done, it is left to the others. */
export type Express = (socket: DatagramSocket, bytes: Buffer, from: Address) => boolean;

export function createExpress({ cases, counters, memory }: UdpContext): Express {
  const { table, servers, clock } = cases;
  const { sessions, users } = table;
  const head = new ExpressHead();
  /** Of the request. */
  const mac = new Uint32Array(4);
  const sight = new Sight();

  const isSigned = (row: number, request: Buffer): boolean => {
    room.useKey(sessions.keys, row * KEY_BYTES);
    const digest = room.mac(head.macLineAt);
    for (let i = 0; i < mac.length; i++) mac[i] = digest.getUint32(i * 4);
    return macDifference(digest, request, head.macAt - PAD_BYTES) === 0;
  };
  /** null: another has to answer. */
  const replyTo = (request: Buffer, row: number): Buffer | null => {
    const idAt = head.idAt - PAD_BYTES;
    const idEnd = head.idEnd - PAD_BYTES;
    if (!head.isLocate) {
      // A node that is leaving redirects.
      return servers.state === 'on' ? okReply(table, row, request, idAt, idEnd) : null;
    }
    const userRow = users.findIn(room.bytes, head.uidAt, head.uidEnd);
    if (userRow < 0 || lookFrom(table, sessions.user[row] ?? 0, userRow, sight) !== 'seen') return null;
    return userReply(table, sight, request, idAt, idEnd);
  };

  return (socket, bytes, from) => {
    const { length } = bytes;
    if (length > DATAGRAM_BYTES_MAX) return false;
    room.bytes.set(bytes, PAD_BYTES);
    if (!head.read(room.view, PAD_BYTES + length)) return false;
    const row = sessions.findWords(head.cookie);
    if (row < 0 || sessions.state[row] !== SESSION_OPEN || !sessions.isWan(row, from) || !isSigned(row, bytes))
      return false;
    const reply = replyTo(bytes, row);
    if (reply === null) return false;
    // A repeated request has the number of the one that it repeats, so one with a fresh number is none.
    if (acceptSeq(sessions.windows, row, head.seq) !== 'fresh') return false;
    if (head.isLocate) counters.locatesUser++;
    else counters.heartbeats++;
    cases.heard(row);
    socket.send(reply, from);
    memory.remember(mac, row, takenOf(sessions.windows, row), Math.floor(clock.now() / 1000), reply);
    return true;
  };
}
