/** The sessions: one row a device, found by its cookie, and the texts that belong to it. */
import type { Address, Firewall, Network, Status } from '../base/model.ts';
import { NETWORKS, STATUSES } from '../base/model.ts';
import { Arena } from './arena.ts';
import type { Fields } from './fields.ts';
import { FIELD, FIELD_BYTE } from './fields.ts';
import { readLocal, writeLocal } from './local-address.ts';
import { TAKEN } from './replay-window.ts';
import { SESSION_FREE, SESSION_OPEN, SessionColumns } from './session-columns.ts';
import { COOKIE, KEY_BYTES, ROW_WORDS, TEXT, USER } from './session-layout.ts';
import { SlotIndex } from './slot-index.ts';

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

export class SessionRows extends SessionColumns {
  readonly #texts = new Arena();
  readonly #index: SlotIndex;
  #used = 0;
  #free = 0;

  constructor(capacity: number) {
    super(capacity);
    this.#index = new SlotIndex(capacity, (row) => this.words[row * ROW_WORDS + COOKIE] ?? 0);
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

  local(row: number): Address | null {
    return readLocal(this, this.#texts, row);
  }

  setLocal(row: number, address: Address | null): void {
    writeLocal(this, this.#texts, row, address);
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
    if (this.#used === this.capacity) this.grow();
    return this.#used++;
  }
}

export const LOOK_AHEAD_MAX = 64;
const aheadRows = new Int32Array(LOOK_AHEAD_MAX);
const cookieWords = new Uint32Array(4);
