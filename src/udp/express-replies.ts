/**
 * The replies of the express lane, written straight from the columns. What they say is what replies.ts and encode.ts make
 * of the same, which a property test holds them to.
 */
import { formatAddress, isIPv4At, readAddress } from '../base/address.ts';
import { copyBytes } from '../base/bytes.ts';
import { viewsOf } from '../base/views.ts';
import { FIELD_BYTE } from '../heartbeat/fields.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { SessionRows } from '../heartbeat/session-rows.ts';
import { TextPlace } from '../heartbeat/session-rows.ts';
import type { Sight } from '../locator/sight.ts';
import { MAC_CHARACTERS } from '../login/proof.ts';
import {
  DEVICE_BYTES_MAX,
  DEVICE_TEXT,
  LOCAL_TEXT,
  REPLY,
  USER_BYTES_MAX,
  USER_TEXT,
  WAN_TEXT,
} from './express-layout.ts';
import { room } from './express-room.ts';
import { DATAGRAM_BYTES_MAX } from './message.ts';

const { bytes, view } = room;
const replyOf = viewsOf(bytes, REPLY);
const stored = new TextPlace();

/**
 * `Ok` with the address of the session of `row`, whose key is in use, to the request that was read. The bytes are good
 * until the next reply.
 */
export function okReply({ sessions }: OnlineTable, row: number): Buffer {
  return signed(writeWan(room.writeOk(), sessions, sessions.wanAt(row)));
}

/**
 * `User` as far as the asker may see him; null where he has several devices or it would not fit into a datagram. The
 * rest as for okReply().
 */
export function userReply({ users, sessions }: OnlineTable, sight: Sight): Buffer | null {
  const { userRow, sessionRow, seesAddresses } = sight;
  if (sight.devices !== 1) return null;
  sessions.findText(sessionRow, stored);
  if (stored.end - stored.at > DEVICE_BYTES_MAX) return null;
  putStored(DEVICE_TEXT, stored.end);
  users.findText(userRow, stored);
  putStored(USER_TEXT, Math.min(stored.end, stored.at + USER_BYTES_MAX));
  const end = room.writeUser(
    sessions.status(sessionRow),
    sessions.network(sessionRow),
    sessions.firewallNumber(sessionRow),
    seesAddresses ? writeWan(WAN_TEXT, sessions, sessions.wanAt(sessionRow)) : 0,
    seesAddresses ? writeLocal(sessions, sessionRow) : 0,
    sight.seesTelephones ? 1 : 0,
  );
  return end + MAC_LINE_BYTES <= REPLY + DATAGRAM_BYTES_MAX ? signed(end) : null;
}

/** Ends the last header, and the message. */
function signed(end: number): Buffer {
  const macAt = room.writeLineEnd(end);
  room.makeMac(REPLY, macAt);
  return replyOf(room.writeMacLine(macAt) - REPLY);
}
const MAC_LINE_BYTES = '\r\nmac: \r\n\r\n'.length + MAC_CHARACTERS;

/** What is stored up to `end`; behind it begin empty fields, so that nobody looks further. */
function putStored(at: number, end: number): void {
  view.setInt32(copyBytes(view, at, stored.bytes, stored.at, end), FOUR_FIELDS);
}
const FOUR_FIELDS = FIELD_BYTE * 0x01010101;

/** The outer address as text, or what stands for none; where it ends. */
function writeWan(at: number, { bytes: column }: SessionRows, offset: number): number {
  if (isIPv4At(column, offset)) {
    let host = 0;
    for (let i = 15; i >= 12; i--) host = (host << 8) | (column[offset + i] ?? 0);
    return room.writeAddress(at, host, ((column[offset + 16] ?? 0) << 8) | (column[offset + 17] ?? 0));
  }
  const address = readAddress(column, offset);
  return at + bytes.write(address === null ? NOWHERE : formatAddress(address), at, 'latin1');
}

/** The client's own address as text; where it ends. */
function writeLocal(sessions: SessionRows, row: number): number {
  if (sessions.isLocalIPv4(row)) {
    return room.writeAddress(LOCAL_TEXT, sessions.localHost(row), sessions.localPort(row));
  }
  const local = sessions.local(row);
  return local === null ? LOCAL_TEXT : LOCAL_TEXT + bytes.write(formatAddress(local), LOCAL_TEXT, 'latin1');
}
/** Known over HTTP only. */
const NOWHERE = '0.0.0.0:0';
