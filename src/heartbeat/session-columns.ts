/** What stands in the rows of sessions, number by number. What the hot paths read and write is public. */
import { ADDRESS_BYTES, readAddress, writeAddress } from '../base/address.ts';
import type { Address, Firewall } from '../base/model.ts';
import { FIREWALLS } from '../base/model.ts';
import { bytesOf, columnOf, doubled } from './columns.ts';
import { IPV4 } from './local-address.ts';
import { HIGHEST, MASK_HIGH, MASK_LOW } from './replay-window.ts';
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
  USER,
  WAN_BYTE,
  WINDOW,
} from './session-layout.ts';
import type { LinkedRows } from './wheel.ts';

/** A closed session is kept for a while, so that a repeated Logout gets its reply again. */
export const SESSION_FREE = 0;
export const SESSION_OPEN = 1;
export const SESSION_CLOSED = 2;

export class SessionColumns implements LinkedRows {
  /** ROW_WORDS a row (session-layout.ts): windowAt() tells where a window begins. */
  words: Uint32Array;
  /** The same: keyAt() and wanAt() tell where these begin, an address as readAddress() takes it. */
  bytes: Uint8Array;

  constructor(capacity: number) {
    this.words = columnOf(Uint32Array, capacity * ROW_WORDS);
    this.bytes = bytesOf(this.words);
  }

  get capacity(): number {
    return this.words.length / ROW_WORDS;
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

  protected grow(): void {
    this.words = doubled(this.words);
    this.bytes = bytesOf(this.words);
  }
}

const scratch = new Uint8Array(ADDRESS_BYTES);
const cookieBytes = Buffer.alloc(COOKIE_BYTES);
