/** The columns of sessions: one row a device. What the hot paths read and write is public. */
import { ADDRESS_BYTES, readAddress, writeAddress } from '../base/address.ts';
import type { Address, Firewall, Network, Status } from '../base/model.ts';
import { FIREWALLS, NETWORKS, STATUSES } from '../base/model.ts';
import { Arena } from './arena.ts';
import { IPV4, readLocal, writeLocal } from './local-address.ts';
import type { Fields } from './fields.ts';
import { FIELD, FIELD_BYTE } from './fields.ts';
import { bytesOf, columnOf, doubled } from './columns.ts';
import { HIGHEST, MASK_HIGH, MASK_LOW, TAKEN } from './replay-window.ts';
import {
  COOKIE,
  COOKIE_BYTES,
  FIREWALL_BYTE,
  KEY,
  KEY_BYTES,
  LIFETIME_S,
  LINKS,
  LOCAL_HOST,
  LOCAL_KIND_BYTE,
  LOCAL_PORT_BYTE,
  LOGIN_S,
  NETWORK_BYTE,
  NEXT_OF_USER,
  ROW_BYTES,
  ROW_WORDS,
  SEEN_S,
  STATE_BYTE,
  STATUS_BYTE,
  TEXT,
  USER,
  WAN_BYTE,
  WINDOW,
} from './session-layout.ts';
import { SlotIndex } from './slot-index.ts';
import type { LinkedRows } from './wheel.ts';

/** A closed session is kept for a while, so that a repeated Logout gets its reply again. */
export const SESSION_FREE = 0;
export const SESSION_OPEN = 1;
export const SESSION_CLOSED = 2;

/** What a client says of the device it runs on. */
export interface DeviceText {
  /** Stable id of the device; '' where it names none. */
  readonly instance: string;
  readonly note: string;
  /** `cpu=…; mem=…; …; agent=…` */
  readonly device: string;
  /** Contact URI of a SIP registration; '' for a native client. */
  readonly contact: string;
  /** What else the SIP edge keeps of a registration, in its own form; '' for a native client. */
  readonly registration: string;
}

export interface NewSession extends DeviceText {
  /** 32 hex characters. */
  readonly cookie: string;
  /** The 32 bytes whose hex text is the session key K. */
  readonly key: Uint8Array;
  readonly wan: Address;
  readonly local: Address | null;
  readonly network: Network;
  readonly firewall: Firewall;
  readonly status: Status;
  /** Seconds of silence after which the session ends. */
  readonly lifetimeS: number;
}

/** Fields of the stored text. */
export const NOTE = 1;
export const DEVICE = 2;
export const CONTACT = 3;

/** A stored text: `at`–`end` of bytes that hold others too. */
export class TextPlace {
  bytes: DataView = new DataView(new ArrayBuffer(0));
  at = 0;
  end = 0;
}

export class SessionRows implements LinkedRows {
  readonly #texts = new Arena();
  readonly #index: SlotIndex;
  /** ROW_WORDS a row, as above: windowAt() tells where a window begins. */
  words: Uint32Array;
  /** The same: keyAt() and wanAt() tell where these begin, an address as readAddress() takes it. */
  bytes: Uint8Array;
  #used = 0;
  #free = 0;

  constructor(capacity: number) {
    this.words = columnOf(Uint32Array, capacity * ROW_WORDS);
    this.bytes = bytesOf(this.words);
    this.#index = new SlotIndex(capacity, (row) => this.words[row * ROW_WORDS + COOKIE] ?? 0);
  }

  get capacity(): number {
    return this.words.length / ROW_WORDS;
  }

  get used(): number {
    return this.#used;
  }

  /** The row of an open or lately closed session; -1 where there is none. `cookie` is 32 hex characters. */
  find(cookie: string): number {
    for (let i = 0; i < 4; i++) cookieWords[i] = parseInt(cookie.slice(i * 8, i * 8 + 8), 16);
    return this.findWords(cookieWords);
  }

  /** The same by the cookie's four words. */
  findWords(words: Uint32Array): number {
    const a = words[0] ?? 0;
    const b = words[1];
    const c = words[2];
    const d = words[3];
    for (let at = this.#index.seek(a); ; at = this.#index.next(at, a)) {
      const row = this.#index.row(at);
      if (row < 0) return -1;
      const i = row * ROW_WORDS + COOKIE;
      const { words: kept } = this;
      if (kept[i] === a && kept[i + 1] === b && kept[i + 2] === c && kept[i + 3] === d) return row;
    }
  }

  /**
   * Fetches from memory what findWords() and the requests of sessions look at: of the first `count` sessions (at most
   * LOOK_AHEAD_MAX) whose cookies begin with these words. It waits for many at once, where one request after the other
   * waits for each of its lines. What it answers says nothing: who reads it keeps the reading from being left out.
   */
  lookAhead(firstWords: Uint32Array, count: number): number {
    const { words } = this;
    const rows = aheadRows;
    let sum = 0;
    for (let i = 0; i < count; i++) sum ^= this.#index.fetch(firstWords[i] ?? 0);
    for (let i = 0; i < count; i++) rows[i] = this.#index.row(this.#index.seek(firstWords[i] ?? 0));
    for (let i = 0; i < count; i++) {
      const at = Math.max(0, rows[i] ?? 0) * ROW_WORDS;
      sum ^= (words[at] ?? 0) ^ (words[at + ROW_WORDS / 2] ?? 0);
    }
    return sum;
  }

  add(session: NewSession, userRow: number, nowS: number): number {
    const row = this.#take();
    const at = row * ROW_WORDS;
    for (let i = 0; i < 4; i++) this.words[at + COOKIE + i] = parseInt(session.cookie.slice(i * 8, i * 8 + 8), 16);
    this.words[at + USER] = userRow;
    this.bytes.set(session.key, this.keyAt(row));
    this.setWindow(row, 0, 0, 0);
    this.words[this.windowAt(row) + TAKEN] = 0;
    this.setWan(row, session.wan);
    this.setLocal(row, session.local);
    this.words[at + TEXT] = 0;
    this.setText(row, session);
    this.setFirewall(row, session.firewall);
    this.setState(row, SESSION_OPEN);
    this.setStatus(row, STATUSES.indexOf(session.status));
    this.setNetwork(row, NETWORKS.indexOf(session.network));
    this.setLoginS(row, nowS);
    this.setSeenS(row, nowS);
    this.setLifetimeS(row, session.lifetimeS);
    this.#index.add(row);
    return row;
  }

  /** Its highest number and the halves of its mask. */
  window(row: number): readonly [number, number, number] {
    return [this.cseq(row), this.nonceMs(row), this.nonceCount(row)];
  }

  setWindow(row: number, highest: number, maskLow: number, maskHigh: number): void {
    const at = this.windowAt(row);
    this.words[at + HIGHEST] = highest;
    this.words[at + MASK_LOW] = maskLow;
    this.words[at + MASK_HIGH] = maskHigh;
  }

  /** Where the replay window of a native client begins (replay-window.ts); of a telephone see registered(). */
  windowAt(row: number): number {
    return row * ROW_WORDS + WINDOW;
  }

  /** One of SESSION_FREE, _OPEN and _CLOSED. */
  state(row: number): number {
    return this.bytes[row * ROW_BYTES + STATE_BYTE] ?? SESSION_FREE;
  }

  setState(row: number, state: number): void {
    this.bytes[row * ROW_BYTES + STATE_BYTE] = state;
  }

  /** Its number in STATUSES. */
  status(row: number): number {
    return this.bytes[row * ROW_BYTES + STATUS_BYTE] ?? 0;
  }

  setStatus(row: number, status: number): void {
    this.bytes[row * ROW_BYTES + STATUS_BYTE] = status;
  }

  /** Row of the user. */
  user(row: number): number {
    return this.words[row * ROW_WORDS + USER] ?? 0;
  }

  /** The second of the last sign of life. */
  seenS(row: number): number {
    return this.words[row * ROW_WORDS + SEEN_S] ?? 0;
  }

  setSeenS(row: number, seenS: number): void {
    this.words[row * ROW_WORDS + SEEN_S] = seenS;
  }

  /** Seconds of silence after which the session ends. */
  lifetimeS(row: number): number {
    return this.words[row * ROW_WORDS + LIFETIME_S] ?? 0;
  }

  setLifetimeS(row: number, lifetimeS: number): void {
    this.words[row * ROW_WORDS + LIFETIME_S] = lifetimeS;
  }

  /**
   * Of a telephone, which has no replay window: the CSeq of its last REGISTER, when the nonce of its Digest was issued
   * (ms, mod 2^32) and how often that has been used.
   */
  registered(row: number, cseq: number, nonceMs: number, nonceCount: number): void {
    this.setWindow(row, cseq, nonceMs >>> 0, nonceCount);
  }

  /** Another use of that nonce. */
  counted(row: number, nonceCount: number): void {
    const at = this.windowAt(row) + MASK_HIGH;
    this.words[at] = Math.max(nonceCount, this.words[at] ?? 0);
  }

  cseq(row: number): number {
    return this.words[this.windowAt(row) + HIGHEST] ?? 0;
  }

  nonceMs(row: number): number {
    return this.words[this.windowAt(row) + MASK_LOW] ?? 0;
  }

  nonceCount(row: number): number {
    return this.words[this.windowAt(row) + MASK_HIGH] ?? 0;
  }

  remove(row: number): void {
    this.#index.remove(row);
    this.#texts.free(this.#text(row));
    this.words[row * ROW_WORDS + TEXT] = 0;
    this.setLocal(row, null);
    this.bytes.fill(0, this.keyAt(row), this.keyAt(row) + KEY_BYTES);
    this.setState(row, SESSION_FREE);
    this.setNextOfUser(row, this.#free);
    this.#free = row + 1;
  }

  cookie(row: number): string {
    for (let i = 0; i < 4; i++) cookieBytes.writeUInt32BE(this.words[row * ROW_WORDS + COOKIE + i] ?? 0, i * 4);
    return cookieBytes.toString('hex');
  }

  /** A view on the 32 bytes, valid until the next session is opened or closed. */
  key(row: number): Uint8Array {
    return this.bytes.subarray(this.keyAt(row), this.keyAt(row) + KEY_BYTES);
  }

  keyAt(row: number): number {
    return row * ROW_BYTES + 4 * KEY;
  }

  wanAt(row: number): number {
    return row * ROW_BYTES + WAN_BYTE;
  }

  /** Port 0: known over HTTP only. */
  wan(row: number): Address {
    return readAddress(this.bytes, this.wanAt(row)) ?? { host: '0.0.0.0', port: 0 };
  }

  isWan(row: number, address: Address): boolean {
    writeAddress(scratch, 0, address);
    const at = this.wanAt(row);
    for (let i = ADDRESS_BYTES - 1; i >= 0; i--) if (this.bytes[at + i] !== scratch[i]) return false;
    return true;
  }

  setWan(row: number, address: Address): void {
    writeAddress(this.bytes, this.wanAt(row), address);
  }

  local(row: number): Address | null {
    return readLocal(this, this.#texts, row);
  }

  /** Whether localHost() tells the client's own address, its first byte lowest. */
  isLocalIPv4(row: number): boolean {
    return this.bytes[row * ROW_BYTES + LOCAL_KIND_BYTE] === IPV4;
  }

  localHost(row: number): number {
    return this.words[row * ROW_WORDS + LOCAL_HOST] ?? 0;
  }

  localPort(row: number): number {
    const at = row * ROW_BYTES + LOCAL_PORT_BYTE;
    return ((this.bytes[at] ?? 0) << 8) | (this.bytes[at + 1] ?? 0);
  }

  setLocal(row: number, address: Address | null): void {
    writeLocal(this, this.#texts, row, address);
  }

  firewall(row: number): Firewall {
    return FIREWALLS[this.firewallNumber(row)] ?? 'strong';
  }

  /** Its place in FIREWALLS. */
  firewallNumber(row: number): number {
    return this.bytes[row * ROW_BYTES + FIREWALL_BYTE] ?? 0;
  }

  setFirewall(row: number, firewall: Firewall): void {
    this.bytes[row * ROW_BYTES + FIREWALL_BYTE] = FIREWALLS.indexOf(firewall);
  }

  /** Its number in NETWORKS. */
  network(row: number): number {
    return this.bytes[row * ROW_BYTES + NETWORK_BYTE] ?? 0;
  }

  setNetwork(row: number, network: number): void {
    this.bytes[row * ROW_BYTES + NETWORK_BYTE] = network;
  }

  /** Session row + 1 of the user's next device; 0 = none. */
  nextOfUser(row: number): number {
    return this.words[row * ROW_WORDS + NEXT_OF_USER] ?? 0;
  }

  setNextOfUser(row: number, place: number): void {
    this.words[row * ROW_WORDS + NEXT_OF_USER] = place;
  }

  /** The second of its login. */
  loginS(row: number): number {
    return this.words[row * ROW_WORDS + LOGIN_S] ?? 0;
  }

  setLoginS(row: number, loginS: number): void {
    this.words[row * ROW_WORDS + LOGIN_S] = loginS;
  }

  linksAt(row: number): number {
    return row * ROW_WORDS + LINKS;
  }

  /** Cuts the stored text of a row into its fields, numbered as below. */
  cut(row: number, fields: Fields): void {
    fields.cut(this.#texts, this.#text(row));
  }

  text(row: number): DeviceText {
    const [instance = '', note = '', device = '', contact = '', registration = ''] = this.#texts
      .text(this.#text(row))
      .split(FIELD);
    return { instance, note, device, contact, registration };
  }

  /** Whether it is a SIP registration: of a native client the last of the texts is empty. */
  isSip(row: number): boolean {
    const ref = this.#text(row);
    const end = this.#texts.startOf(ref) + this.#texts.lengthOf(ref);
    return this.#texts.lengthOf(ref) > 0 && this.#texts.viewOf(ref).getUint8(end - 1) !== FIELD_BYTE;
  }

  /** Where the same stands as bytes, joined by FIELD_BYTE in this order; valid until the text changes. */
  findText(row: number, place: TextPlace): void {
    const ref = this.#text(row);
    place.bytes = this.#texts.viewOf(ref);
    place.at = this.#texts.startOf(ref);
    place.end = place.at + this.#texts.lengthOf(ref);
  }

  setText(row: number, text: DeviceText): void {
    const bytes = Buffer.from([text.instance, text.note, text.device, text.contact, text.registration].join(FIELD));
    const ref = this.#text(row);
    if (ref !== 0 && this.#texts.get(ref).equals(bytes)) return;
    this.#texts.free(ref);
    this.words[row * ROW_WORDS + TEXT] = this.#texts.put(bytes);
  }

  /** The reference of its text. */
  #text(row: number): number {
    return this.words[row * ROW_WORDS + TEXT] ?? 0;
  }

  #take(): number {
    if (this.#free !== 0) {
      const row = this.#free - 1;
      this.#free = this.nextOfUser(row);
      return row;
    }
    if (this.#used === this.capacity) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    this.words = doubled(this.words);
    this.bytes = bytesOf(this.words);
  }
}

export const LOOK_AHEAD_MAX = 64;
const aheadRows = new Int32Array(LOOK_AHEAD_MAX);

const scratch = new Uint8Array(ADDRESS_BYTES);
const cookieBytes = Buffer.alloc(COOKIE_BYTES);
const cookieWords = new Uint32Array(4);
