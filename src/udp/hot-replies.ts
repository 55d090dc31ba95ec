/**
 * The replies to heartbeats and to Locates of users with one device, as bytes written straight from the columns. What
 * they say is what replies.ts and encode.ts make of the same, which a property test holds them to.
 */
import { ADDRESS_BYTES, formatAddress, isIPv4At, readAddress } from '../base/address.ts';
import { createHashRoom } from '../base/hashes.ts';
import type { Address } from '../base/model.ts';
import { NETWORKS, STATUSES } from '../base/model.ts';
import { viewsOf } from '../base/views.ts';
import { Fields } from '../heartbeat/fields.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import { CONTACT, DEVICE, KEY_BYTES, NOTE } from '../heartbeat/session-rows.ts';
import { ALIAS, ITEM, TELEPHONES, UID } from '../heartbeat/profile.ts';
import type { Sight } from '../locator/sight.ts';
import { MAC_CHARACTERS, macInPlace, PAD_BYTES, writeMac } from '../login/proof.ts';
import { DATAGRAM_BYTES_MAX } from './message.ts';

/** `Ok` with the source as it was seen, signed by the session of `row`. The bytes are good until the next reply. */
export function okReply(table: OnlineTable, row: number, id: string, wan: Address): Buffer {
  at = PAD_BYTES;
  put(OK);
  ascii(id);
  put(WAN);
  ascii(formatAddress(wan));
  return signed(table, row);
}

/**
 * `User` as far as the asker may see him, signed by the session of `row`; null where he has several devices or it would
 * not fit into a datagram. The bytes are good until the next reply.
 */
export function userReply(table: OnlineTable, row: number, id: string, sight: Sight): Buffer | null {
  const { sessions } = table;
  const { sessionRow, texts } = sight;
  sessions.cut(sessionRow, device);
  if (sight.devices !== 1 || lengthOf(texts, TELEPHONES) + lengthOf(device, CONTACT) > TEXTS_BYTES_MAX) return null;
  at = PAD_BYTES;
  put(USER);
  field(texts, UID);
  put(ID);
  ascii(id);
  header(ALIAS_IS, texts, ALIAS);
  put(STATUS);
  ascii(STATUSES[sessions.status[sessionRow] ?? 0] ?? 'online');
  header(NOTE_IS, device, NOTE);
  put(NETWORK);
  ascii(NETWORKS[sessions.network[sessionRow] ?? 0] ?? 'lan');
  put(FIREWALL);
  ascii(sessions.firewall(sessionRow));
  if (sight.seesAddresses) {
    put(WAN);
    if (!address(sessions.wans, sessionRow * ADDRESS_BYTES)) put(NOWHERE);
    put(LOCAL);
    if (!address(sessions.locals, sessionRow * ADDRESS_BYTES)) at -= LOCAL.length;
  }
  if (sight.seesTelephones) header(TELEPHONE, texts, TELEPHONES);
  header(DEVICE_IS, device, DEVICE);
  if (sight.seesAddresses) header(SIP, device, CONTACT);
  return at + MAC_LINE_BYTES <= PAD_BYTES + DATAGRAM_BYTES_MAX ? signed(table, row) : null;
}

/** Of the session of the user who is looked for. */
const device = new Fields();

/** Of both users' records together; nothing that fits into a datagram is longer, but for what the asker may not see. */
const TEXTS_BYTES_MAX = 8 * 1024;

/** Behind the room for the pad stands the message. */
const hashed = createHashRoom(PAD_BYTES + TEXTS_BYTES_MAX + DATAGRAM_BYTES_MAX);
const room = hashed.bytes;
const messageUpTo = viewsOf(room, PAD_BYTES);
/** Where in `room` the next byte goes. */
let at = PAD_BYTES;

const OK = Buffer.from('Ok\r\nid: ');
const USER = Buffer.from('User ');
const ID = Buffer.from('\r\nid: ');
const ALIAS_IS = Buffer.from('\r\nalias: ');
const STATUS = Buffer.from('\r\nstatus: ');
const NOTE_IS = Buffer.from('\r\nnote: ');
const NETWORK = Buffer.from('\r\nnetwork: ');
const FIREWALL = Buffer.from('\r\nfirewall: ');
const WAN = Buffer.from('\r\nwan: ');
/** Known over HTTP only. */
const NOWHERE = Buffer.from('0.0.0.0:0');
const LOCAL = Buffer.from('\r\nlocal: ');
const TELEPHONE = Buffer.from('\r\ntelephone: ');
const DEVICE_IS = Buffer.from('\r\ndevice: ');
const SIP = Buffer.from('\r\nsip: ');
const END_OF_LINE = Buffer.from('\r\n');
const MAC = Buffer.from('mac: ');
const END = Buffer.from('\r\n\r\n');
const MAC_LINE_BYTES = END_OF_LINE.length + MAC.length + MAC_CHARACTERS + END.length;

function signed(table: OnlineTable, row: number): Buffer {
  put(END_OF_LINE);
  const mac = macInPlace(table.sessions.keys, row * KEY_BYTES, hashed, at);
  put(MAC);
  at = writeMac(hashed.view, at, mac);
  put(END);
  return messageUpTo(at);
}

function put(bytes: Buffer): void {
  for (let i = 0; i < bytes.length; i++) room[at++] = bytes[i] ?? 0;
}

function ascii(text: string): void {
  for (let i = 0; i < text.length; i++) room[at++] = text.charCodeAt(i);
}

/** Of the fields up to that one. */
function lengthOf({ starts, ends }: Fields, last: number): number {
  return (ends[last] ?? 0) - (starts[0] ?? 0);
}

function header(name: Buffer, fields: Fields, index: number): void {
  if (fields.starts[index] === fields.ends[index]) return;
  put(name);
  field(fields, index);
}

/** A field as it is stored; between the items of a list stands a semicolon. */
function field({ bytes, starts, ends }: Fields, index: number): void {
  const end = ends[index] ?? 0;
  for (let from = starts[index] ?? 0; from < end; from++) {
    const byte = bytes[from] ?? 0;
    room[at++] = byte === ITEM_BYTE ? SEMICOLON : byte;
  }
}
const ITEM_BYTE = ITEM.charCodeAt(0);
const SEMICOLON = 0x3b;

/** The 18-byte form as text; false where there is none. */
function address(column: Uint8Array, offset: number): boolean {
  if (!isIPv4At(column, offset)) {
    const one = readAddress(column, offset);
    if (one !== null) ascii(formatAddress(one));
    return one !== null;
  }
  for (let i = 12; i < 16; i++) {
    decimal(column[offset + i] ?? 0);
    room[at++] = i < 15 ? DOT : COLON;
  }
  decimal(((column[offset + 16] ?? 0) << 8) | (column[offset + 17] ?? 0));
  return true;
}
const DOT = 0x2e;
const COLON = 0x3a;

/** A number of 16 bits. */
function decimal(value: number): void {
  if (value >= 10_000) room[at++] = DIGIT + Math.floor(value / 10_000);
  if (value >= 1_000) room[at++] = DIGIT + (Math.floor(value / 1_000) % 10);
  if (value >= 100) room[at++] = DIGIT + (Math.floor(value / 100) % 10);
  if (value >= 10) room[at++] = DIGIT + (Math.floor(value / 10) % 10);
  room[at++] = DIGIT + (value % 10);
}
const DIGIT = 0x30;
