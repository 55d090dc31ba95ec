/**
 * The replies of the express lane, as bytes written straight from the columns. What they say is what replies.ts and
 * encode.ts make of the same, which a property test holds them to.
 */
import { ADDRESS_BYTES, formatAddress, isIPv4At, readAddress } from '../base/address.ts';
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, copyBytes } from '../base/bytes.ts';
import { NETWORKS, STATUSES } from '../base/model.ts';
import { viewsOf } from '../base/views.ts';
import { Fields } from '../heartbeat/fields.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import { ALIAS, ITEM, TELEPHONES, UID } from '../heartbeat/profile.ts';
import { CONTACT, DEVICE, NOTE } from '../heartbeat/session-rows.ts';
import type { Sight } from '../locator/sight.ts';
import { MAC_CHARACTERS } from '../login/proof.ts';
import { ID_AT, ID_END, REPLY } from './express-layout.ts';
import { room } from './express-room.ts';
import { DATAGRAM_BYTES_MAX } from './message.ts';

/** Of both users' records together; nothing that fits into a datagram is longer, but for what the asker may not see. */
const TEXTS_BYTES_MAX = 8 * 1024;

const { bytes, view, places } = room;
const replyOf = viewsOf(bytes, REPLY);
/** Where the next byte goes. */
let at = REPLY;

/**
 * `Ok` with the address of the session of `row`, whose key is in use, to the request that was read. The bytes are good
 * until the next reply.
 */
export function okReply(table: OnlineTable, row: number): Buffer {
  at = room.writeOk();
  putAddress(table.sessions.wans, row * ADDRESS_BYTES);
  return signed();
}

/**
 * `User` as far as the asker may see him; null where he has several devices or it would not fit into a datagram. The
 * rest as for okReply().
 */
export function userReply(table: OnlineTable, sight: Sight): Buffer | null {
  const { sessions } = table;
  const { sessionRow, texts } = sight;
  sessions.cut(sessionRow, device);
  if (sight.devices !== 1 || lengthOf(texts, TELEPHONES) + lengthOf(device, CONTACT) > TEXTS_BYTES_MAX) return null;
  at = REPLY;
  put(USER);
  putField(texts, UID);
  put(ID);
  at = copyBytes(view, at, view, places[ID_AT] ?? 0, places[ID_END] ?? 0);
  putHeader(ALIAS_IS, texts, ALIAS);
  put(STATUS);
  put(STATUS_TEXTS[sessions.status[sessionRow] ?? 0] ?? NOTHING);
  putHeader(NOTE_IS, device, NOTE);
  put(NETWORK);
  put(NETWORK_TEXTS[sessions.network[sessionRow] ?? 0] ?? NOTHING);
  put(FIREWALL);
  putAscii(sessions.firewall(sessionRow));
  if (sight.seesAddresses) {
    put(WAN);
    if (!putAddress(sessions.wans, sessionRow * ADDRESS_BYTES)) put(NOWHERE);
    put(LOCAL);
    if (!putAddress(sessions.locals, sessionRow * ADDRESS_BYTES)) at -= LOCAL.length;
  }
  if (sight.seesTelephones && !texts.isEmpty(TELEPHONES)) {
    put(TELEPHONE);
    putList(texts, TELEPHONES);
  }
  putHeader(DEVICE_IS, device, DEVICE);
  if (sight.seesAddresses) putHeader(SIP, device, CONTACT);
  return at + MAC_LINE_BYTES <= REPLY + DATAGRAM_BYTES_MAX ? signed() : null;
}

/** Of the session of the user who is looked for. */
const device = new Fields();

const USER = bytesOf('User ');
const ID = bytesOf('\r\nid: ');
const ALIAS_IS = bytesOf('\r\nalias: ');
const STATUS = bytesOf('\r\nstatus: ');
const NOTE_IS = bytesOf('\r\nnote: ');
const NETWORK = bytesOf('\r\nnetwork: ');
const FIREWALL = bytesOf('\r\nfirewall: ');
const WAN = bytesOf('\r\nwan: ');
/** Known over HTTP only. */
const NOWHERE = bytesOf('0.0.0.0:0');
const LOCAL = bytesOf('\r\nlocal: ');
const TELEPHONE = bytesOf('\r\ntelephone: ');
const DEVICE_IS = bytesOf('\r\ndevice: ');
const SIP = bytesOf('\r\nsip: ');
const MAC_LINE_BYTES = '\r\nmac: \r\n\r\n'.length + MAC_CHARACTERS;
const NOTHING = bytesOf('');
const STATUS_TEXTS = STATUSES.map(bytesOf);
const NETWORK_TEXTS = NETWORKS.map(bytesOf);

function signed(): Buffer {
  const end = room.writeLineEnd(at);
  room.makeMac(REPLY, end);
  return replyOf(room.writeMacLine(end) - REPLY);
}

function put({ view: from, length }: Bytes): void {
  at = copyBytes(view, at, from, 0, length);
}

function putAscii(text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
}

/** Of the fields up to that one. */
function lengthOf({ starts, ends }: Fields, last: number): number {
  return (ends[last] ?? 0) - (starts[0] ?? 0);
}

function putHeader(name: Bytes, fields: Fields, index: number): void {
  if (fields.isEmpty(index)) return;
  put(name);
  putField(fields, index);
}

function putField(fields: Fields, index: number): void {
  at = copyBytes(view, at, fields.view, fields.starts[index] ?? 0, fields.ends[index] ?? 0);
}

/** Between its items stands a semicolon. */
function putList(fields: Fields, index: number): void {
  const from = at;
  putField(fields, index);
  for (let i = from; i < at; i++) if (bytes[i] === ITEM_BYTE) bytes[i] = SEMICOLON;
}
const ITEM_BYTE = ITEM.charCodeAt(0);
const SEMICOLON = 0x3b;

/** The 18-byte form as text; false where there is none. */
function putAddress(column: Uint8Array, offset: number): boolean {
  if (!isIPv4At(column, offset)) {
    const one = readAddress(column, offset);
    if (one !== null) putAscii(formatAddress(one));
    return one !== null;
  }
  let host = 0;
  for (let i = 15; i >= 12; i--) host = (host << 8) | (column[offset + i] ?? 0);
  at = room.writeAddress(at, host, ((column[offset + 16] ?? 0) << 8) | (column[offset + 17] ?? 0));
  return true;
}
