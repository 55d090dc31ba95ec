/** The columns of users who are online: one row a user, whatever the number of his devices. */
import type { Audience } from '../base/model.ts';
import { AUDIENCES } from '../base/model.ts';
import { Arena } from './arena.ts';
import { bytesOf, columnOf, doubled } from './columns.ts';
import type { Fields } from './fields.ts';
import { FIELD_BYTE } from './fields.ts';
import { blocksAndForwardsNothing, decodeProfile, encodeProfile } from './profile.ts';
import type { Kept, Profile, Stamp } from './profile.ts';
import type { TextPlace } from './session-rows.ts';
import { SlotIndex } from './slot-index.ts';

/**
 * What requests look at stands side by side, in a quarter of a line of the processor's cache: of a million users each comes
 * from far away. Offsets in words, and behind FIRST_SESSION in bytes.
 */
const TEXT = 0;
const HASH = 1;
/** Session row + 1 of the first device; in a free row the next free row + 1. */
const FIRST_SESSION = 2;
const ROW_WORDS = 4;
const ROW_BYTES = 4 * ROW_WORDS;
const DEVICES_BYTE = 4 * (FIRST_SESSION + 1);
const DEVICES_MAX_BYTE = DEVICES_BYTE + 1;
const RIGHTS_BYTE = DEVICES_MAX_BYTE + 1;

export class UserRows {
  /** uid, alias, telephones, buddies, blocked, forwarding of each. */
  readonly #texts = new Arena();
  readonly #index: SlotIndex;
  /** ROW_WORDS a row, as above. */
  #words: Uint32Array;
  /** The same. */
  #bytes: Uint8Array;
  #versionLow: Uint32Array;
  #versionHigh: Uint32Array;
  #secretLow: Uint32Array;
  #secretHigh: Uint32Array;
  /** Epoch of the location record that this node wrote last for him. */
  epoch: Uint32Array;
  /** The last logout that was public, epoch seconds; 0 = none known. */
  logoutS: Uint32Array;
  /** When the account ends, epoch seconds; 0 = never. */
  endsS: Uint32Array;
  #used = 0;
  #free = 0;
  #count = 0;

  constructor(capacity: number) {
    this.#words = columnOf(Uint32Array, capacity * ROW_WORDS);
    this.#bytes = bytesOf(this.#words);
    this.#versionLow = columnOf(Uint32Array, capacity);
    this.#versionHigh = columnOf(Uint32Array, capacity);
    this.#secretLow = columnOf(Uint32Array, capacity);
    this.#secretHigh = columnOf(Uint32Array, capacity);
    this.logoutS = columnOf(Uint32Array, capacity);
    this.endsS = columnOf(Uint32Array, capacity);
    this.epoch = columnOf(Uint32Array, capacity);
    this.#index = new SlotIndex(capacity, (row) => this.hash(row));
  }

  get count(): number {
    return this.#count;
  }

  /** Rows below this number have been used; a sweep goes over them. */
  get used(): number {
    return this.#used;
  }

  /** The row, or -1. */
  find(uid: string): number {
    if (uid.length > UID_LENGTH_MAX) return -1;
    return this.findIn(scratch, 0, scratch.write(uid));
  }

  /** The row of the user whose uid stands in `bytes` from `from` to `to`, or -1. */
  findIn(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashOf(bytes, from, to);
    for (let at = this.#index.seek(hash); ; at = this.#index.next(at, hash)) {
      const row = this.#index.row(at);
      if (row < 0 || this.#texts.startsWith(this.#text(row), bytes, from, to, FIELD_BYTE)) return row;
    }
  }

  /** Makes the row of a user who was not online; he has no device yet. */
  add(kept: Kept): number {
    const row = this.#take();
    const uid = Buffer.from(kept.profile.uid);
    this.#words[row * ROW_WORDS + HASH] = hashOf(uid, 0, uid.length);
    this.#words[row * ROW_WORDS + TEXT] = 0;
    this.setFirstSession(row, 0);
    this.setDevices(row, 0);
    this.epoch[row] = this.logoutS[row] = 0;
    this.update(row, kept);
    this.#index.add(row);
    this.#count++;
    return row;
  }

  /** Takes over what the directory says of him now. */
  update(row: number, { profile, stamp }: Kept): void {
    this.#texts.free(this.#text(row));
    const text = Buffer.from(encodeProfile(profile));
    this.#words[row * ROW_WORDS + TEXT] = this.#texts.put(text);
    const isOpenToAll = profile.mayBeCalledBy === 'all' && blocksAndForwardsNothing(text);
    this.#bytes[row * ROW_BYTES + RIGHTS_BYTE] =
      AUDIENCES.indexOf(profile.privacy) |
      (AUDIENCES.indexOf(profile.mayBeCalledBy) << 2) |
      (AUDIENCES.indexOf(profile.contactVisibleTo) << 4) |
      (profile.mayCallOut ? MAY_CALL_OUT : 0) |
      (isOpenToAll ? OPEN_TO_ALL : 0);
    this.#bytes[row * ROW_BYTES + DEVICES_MAX_BYTE] = Math.min(profile.devicesMax, 255);
    this.endsS[row] = stamp.endsS;
    this.#versionHigh[row] = parseInt(stamp.version.slice(0, 8), 16);
    this.#versionLow[row] = parseInt(stamp.version.slice(8), 16);
    this.#secretHigh[row] = parseInt(stamp.secret.slice(0, 8), 16);
    this.#secretLow[row] = parseInt(stamp.secret.slice(8), 16);
  }

  stamp(row: number): Stamp {
    return {
      version: hex(this.#versionHigh[row]) + hex(this.#versionLow[row]),
      secret: hex(this.#secretHigh[row]) + hex(this.#secretLow[row]),
      endsS: this.endsS[row] ?? 0,
    };
  }

  remove(row: number): void {
    this.#index.remove(row);
    this.#texts.free(this.#text(row));
    this.#words[row * ROW_WORDS + TEXT] = 0;
    this.setFirstSession(row, this.#free);
    this.#free = row + 1;
    this.#count--;
  }

  /** Session row + 1 of his first device; 0 = none. */
  firstSession(row: number): number {
    return this.#words[row * ROW_WORDS + FIRST_SESSION] ?? 0;
  }

  setFirstSession(row: number, place: number): void {
    this.#words[row * ROW_WORDS + FIRST_SESSION] = place;
  }

  /** How many devices he has here. */
  devices(row: number): number {
    return this.#bytes[row * ROW_BYTES + DEVICES_BYTE] ?? 0;
  }

  setDevices(row: number, devices: number): void {
    this.#bytes[row * ROW_BYTES + DEVICES_BYTE] = devices;
  }

  isUsed(row: number): boolean {
    return this.#text(row) !== 0;
  }

  /** That of hashOfUid(). */
  hash(row: number): number {
    return this.#words[row * ROW_WORDS + HASH] ?? 0;
  }

  uid(row: number): string {
    const text = this.#texts.get(this.#text(row));
    return text.toString('utf8', 0, text.indexOf(FIELD_BYTE));
  }

  /** Cuts the stored text of a row into its fields, numbered as above. */
  cut(row: number, fields: Fields): void {
    fields.cut(this.#texts, this.#text(row));
  }

  /** Where the same stands as bytes, each field with FIELD_BYTE in front of the next; valid until the text changes. */
  findText(row: number, place: TextPlace): void {
    const ref = this.#text(row);
    place.bytes = this.#texts.viewOf(ref);
    place.at = this.#texts.startOf(ref);
    place.end = place.at + this.#texts.lengthOf(ref);
  }

  /** Who may see his addresses. */
  privacy(row: number): Audience {
    return audience(this.#rights(row));
  }

  mayBeCalledBy(row: number): Audience {
    return audience(this.#rights(row) >> 2);
  }

  contactVisibleTo(row: number): Audience {
    return audience(this.#rights(row) >> 4);
  }

  /** Whether any of the three is. */
  isForBuddies(row: number): boolean {
    const isFor = (one: Audience): boolean => one === 'buddies';
    return isFor(this.privacy(row)) || isFor(this.mayBeCalledBy(row)) || isFor(this.contactVisibleTo(row));
  }

  profile(row: number): Profile {
    const { uid, alias, telephones, buddies, blocked, forwarding } = decodeProfile(this.#texts.text(this.#text(row)));
    // Not spread: that costs as much as to read the text.
    return {
      uid,
      alias,
      telephones,
      buddies,
      blocked,
      forwarding,
      privacy: this.privacy(row),
      mayBeCalledBy: this.mayBeCalledBy(row),
      contactVisibleTo: this.contactVisibleTo(row),
      mayCallOut: (this.#rights(row) & MAY_CALL_OUT) !== 0,
      devicesMax: this.#bytes[row * ROW_BYTES + DEVICES_MAX_BYTE] ?? 1,
    };
  }

  /** Whether everybody may call him, and every call is for him: he has blocked nobody and forwards nothing. */
  isOpenToAll(row: number): boolean {
    return (this.#rights(row) & OPEN_TO_ALL) !== 0;
  }

  mayCallOut(row: number): boolean {
    return (this.#rights(row) & MAY_CALL_OUT) !== 0;
  }

  #take(): number {
    if (this.#free !== 0) {
      const row = this.#free - 1;
      this.#free = this.firstSession(row);
      return row;
    }
    if (this.#used * ROW_WORDS === this.#words.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    this.#words = doubled(this.#words);
    this.#bytes = bytesOf(this.#words);
    this.#versionLow = doubled(this.#versionLow);
    this.#versionHigh = doubled(this.#versionHigh);
    this.#secretLow = doubled(this.#secretLow);
    this.#secretHigh = doubled(this.#secretHigh);
    this.logoutS = doubled(this.logoutS);
    this.endsS = doubled(this.endsS);
    this.epoch = doubled(this.epoch);
  }

  /** The reference of his text. */
  #text(row: number): number {
    return this.#words[row * ROW_WORDS + TEXT] ?? 0;
  }

  #rights(row: number): number {
    return this.#bytes[row * ROW_BYTES + RIGHTS_BYTE] ?? 0;
  }
}

/** Bits of the rights, behind those of the three audiences. */
const MAY_CALL_OUT = 64;
const OPEN_TO_ALL = 128;

const UID_LENGTH_MAX = 128;
const scratch = Buffer.alloc(UID_LENGTH_MAX * 3);

/** The 32 bits by which the row of a user is found. */
export function hashOfUid(uid: string): number {
  const bytes = Buffer.from(uid);
  return hashOf(bytes, 0, bytes.length);
}

/** FNV-1a; the index mixes it further. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return hash >>> 0;
}

function hex(word: number | undefined): string {
  return (word ?? 0).toString(16).padStart(8, '0');
}

function audience(code: number): Audience {
  return AUDIENCES[code & 3] ?? 'none';
}
