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
import { createMacRoom, MAC_CHARACTERS, PAD_BYTES, writeMac } from '../login/proof.ts';
import { DATAGRAM_BYTES_MAX } from './message.ts';

/** Of both users' records together; nothing that fits into a datagram is longer, but for what the asker may not see. */
const TEXTS_BYTES_MAX = 8 * 1024;

/** Where a request is read and then its reply written, under the same key. */
export const room = createMacRoom(TEXTS_BYTES_MAX + DATAGRAM_BYTES_MAX);
const { bytes, view } = room;
const replyUpTo = viewsOf(bytes, PAD_BYTES);
/** Where the next byte goes. */
let at = PAD_BYTES;

/**
 * `Ok` with the address of the session of `row`, whose key is in use. The id is the bytes from `idAt` to `idEnd` of the
 * request. The bytes are good until the next reply.
 */
export function okReply(table: OnlineTable, row: number, request: Uint8Array, idAt: number, idEnd: number): Buffer {
  at = PAD_BYTES;
  put(OK);
  putId(request, idAt, idEnd);
  put(WAN);
  putAddress(table.sessions.wans, row * ADDRESS_BYTES);
  return signed();
}

/**
 * `User` as far as the asker may see him; null where he has several devices or it would not fit into a datagram. The
 * rest as for okReply().
 */
export function userReply(
  table: OnlineTable,
  sight: Sight,
  request: Uint8Array,
  idAt: number,
  idEnd: number,
): Buffer | null {
  const { sessions } = table;
  const { sessionRow, texts } = sight;
  sessions.cut(sessionRow, device);
  if (sight.devices !== 1 || lengthOf(texts, TELEPHONES) + lengthOf(device, CONTACT) > TEXTS_BYTES_MAX) return null;
  at = PAD_BYTES;
  put(USER);
  putField(texts, UID);
  put(ID);
  putId(request, idAt, idEnd);
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
  return at + MAC_LINE_BYTES <= PAD_BYTES + DATAGRAM_BYTES_MAX ? signed() : null;
}

/** Of the session of the user who is looked for. */
const device = new Fields();

const OK = bytesOf('Ok\r\nid: ');
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
const END_OF_LINE = bytesOf('\r\n');
const MAC = bytesOf('mac: ');
const END = bytesOf('\r\n\r\n');
const MAC_LINE_BYTES = END_OF_LINE.length + MAC.length + MAC_CHARACTERS + END.length;
const NOTHING = bytesOf('');
const STATUS_TEXTS = STATUSES.map(bytesOf);
const NETWORK_TEXTS = NETWORKS.map(bytesOf);

function signed(): Buffer {
  put(END_OF_LINE);
  const mac = room.mac(at);
  put(MAC);
  at = writeMac(view, at, mac);
  put(END);
  return replyUpTo(at);
}

function put({ view: from, length }: Bytes): void {
  at = copyBytes(view, at, from, 0, length);
}

function putId(request: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) bytes[at++] = request[i] ?? 0;
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
  for (let i = 12; i < 16; i++) {
    putDecimal(column[offset + i] ?? 0);
    bytes[at++] = i < 15 ? DOT : COLON;
  }
  putDecimal(((column[offset + 16] ?? 0) << 8) | (column[offset + 17] ?? 0));
  return true;
}
const DOT = 0x2e;
const COLON = 0x3a;

/** A number of 16 bits. */
function putDecimal(value: number): void {
  if (value >= 10_000) bytes[at++] = DIGIT + Math.floor(value / 10_000);
  if (value >= 1_000) bytes[at++] = DIGIT + (Math.floor(value / 1_000) % 10);
  if (value >= 100) bytes[at++] = DIGIT + (Math.floor(value / 100) % 10);
  if (value >= 10) bytes[at++] = DIGIT + (Math.floor(value / 10) % 10);
  bytes[at++] = DIGIT + (value % 10);
}
const DIGIT = 0x30;
