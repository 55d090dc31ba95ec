/** The columns of users who are online: one row a user, whatever the number of his devices. */
import { createHash } from 'node:crypto';
import type { Audience, User } from '../base/model.ts';
import { AUDIENCES, LIST_ENTRIES_MAX } from '../base/model.ts';
import { Arena } from './arena.ts';
import { doubled } from './columns.ts';
import { SlotIndex } from './slot-index.ts';

/** What memory knows of an online user, enough to answer a Locate without the directory. */
export interface Profile {
  readonly uid: string;
  readonly alias: string;
  readonly telephones: readonly string[];
  readonly buddies: readonly string[];
  readonly blocked: readonly string[];
  readonly privacy: Audience;
  readonly contactVisibleTo: Audience;
  readonly mayBeCalledBy: Audience;
  readonly mayCallOut: boolean;
  readonly devicesMax: number;
}

// Neither byte can stand in a uid; in the other fields they are taken out before they are stored.
const FIELD = '\x1f';
const FIELD_BYTE = 0x1f;
const ITEM = '\x1e';
const ALIAS_LENGTH_MAX = 256;
const TELEPHONES_MAX = 16;
const TELEPHONE_LENGTH_MAX = 64;

export class UserRows {
  readonly #texts = new Arena();
  readonly #index: SlotIndex;
  /** uid, alias, telephones, buddies, blocked. */
  #text: Uint32Array;
  #hash: Uint32Array;
  #rights: Uint8Array;
  #devicesMax: Uint8Array;
  #versionLow: Uint32Array;
  #versionHigh: Uint32Array;
  #secretLow: Uint32Array;
  #secretHigh: Uint32Array;
  /** Session row + 1 of the first device; in a free row the next free row + 1. */
  firstSession: Uint32Array;
  devices: Uint8Array;
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
    this.#text = new Uint32Array(capacity);
    this.#hash = new Uint32Array(capacity);
    this.#rights = new Uint8Array(capacity);
    this.#devicesMax = new Uint8Array(capacity);
    this.#versionLow = new Uint32Array(capacity);
    this.#versionHigh = new Uint32Array(capacity);
    this.#secretLow = new Uint32Array(capacity);
    this.#secretHigh = new Uint32Array(capacity);
    this.logoutS = new Uint32Array(capacity);
    this.endsS = new Uint32Array(capacity);
    this.firstSession = new Uint32Array(capacity);
    this.devices = new Uint8Array(capacity);
    this.epoch = new Uint32Array(capacity);
    this.#index = new SlotIndex(capacity, (row) => this.#hash[row] ?? 0);
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
    const length = scratch.write(uid);
    const key = length === scratch.length ? scratch : scratch.subarray(0, length);
    for (let at = this.#index.seek(hashOf(key)); ; at = this.#index.next(at)) {
      const row = this.#index.row(at);
      if (row < 0 || this.#texts.startsWith(this.#text[row] ?? 0, key, FIELD_BYTE)) return row;
    }
  }

  /** Makes the row of a user who was not online; he has no device yet. */
  add(user: User, version: string): number {
    const row = this.#take();
    this.#hash[row] = hashOf(Buffer.from(user.uid));
    this.#text[row] = 0;
    this.firstSession[row] = 0;
    this.devices[row] = 0;
    this.epoch[row] = this.logoutS[row] = 0;
    this.update(row, user, version);
    this.#index.add(row);
    this.#count++;
    return row;
  }

  /** Takes over what the directory says of him now. */
  update(row: number, user: User, version: string): void {
    this.#texts.free(this.#text[row] ?? 0);
    this.#text[row] = this.#texts.put(Buffer.from(encode(user)));
    this.#rights[row] =
      AUDIENCES.indexOf(user.service.privacy) |
      (AUDIENCES.indexOf(user.service.mayBeCalledBy) << 2) |
      (AUDIENCES.indexOf(user.contact.visibleTo) << 4) |
      (user.service.mayCallOut ? 64 : 0);
    this.#devicesMax[row] = Math.min(user.service.devicesMax, 100);
    this.endsS[row] = user.service.expiresAt === null ? 0 : Math.ceil(user.service.expiresAt / 1000);
    const digest = digestOf(version);
    this.#versionLow[row] = digest.readUInt32LE(0);
    this.#versionHigh[row] = digest.readUInt32LE(4);
    const secret = digestOf(secretOf(user));
    this.#secretLow[row] = secret.readUInt32LE(0);
    this.#secretHigh[row] = secret.readUInt32LE(4);
  }

  /** Whether `version` is the one that was taken over last (by a 64-bit digest). */
  isVersion(row: number, version: string): boolean {
    const digest = digestOf(version);
    return this.#versionLow[row] === digest.readUInt32LE(0) && this.#versionHigh[row] === digest.readUInt32LE(4);
  }

  /** Whether the user's stored password is still the one he logged in with. */
  isSecret(row: number, user: User): boolean {
    const digest = digestOf(secretOf(user));
    return this.#secretLow[row] === digest.readUInt32LE(0) && this.#secretHigh[row] === digest.readUInt32LE(4);
  }

  remove(row: number): void {
    this.#index.remove(row);
    this.#texts.free(this.#text[row] ?? 0);
    this.#text[row] = 0;
    this.firstSession[row] = this.#free;
    this.#free = row + 1;
    this.#count--;
  }

  isUsed(row: number): boolean {
    return this.#text[row] !== 0;
  }

  uid(row: number): string {
    const text = this.#texts.get(this.#text[row] ?? 0);
    return text.toString('utf8', 0, text.indexOf(FIELD_BYTE));
  }

  profile(row: number): Profile {
    const [uid = '', alias = '', telephones = '', buddies = '', blocked = ''] = this.#texts
      .text(this.#text[row] ?? 0)
      .split(FIELD);
    const rights = this.#rights[row] ?? 0;
    return {
      uid,
      alias,
      telephones: list(telephones, ITEM),
      buddies: list(buddies, ' '),
      blocked: list(blocked, ' '),
      privacy: audience(rights),
      mayBeCalledBy: audience(rights >> 2),
      contactVisibleTo: audience(rights >> 4),
      mayCallOut: (rights & 64) !== 0,
      devicesMax: this.#devicesMax[row] ?? 1,
    };
  }

  #take(): number {
    if (this.#free !== 0) {
      const row = this.#free - 1;
      this.#free = this.firstSession[row] ?? 0;
      return row;
    }
    if (this.#used === this.#text.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    this.#text = doubled(this.#text);
    this.#hash = doubled(this.#hash);
    this.#rights = doubled(this.#rights);
    this.#devicesMax = doubled(this.#devicesMax);
    this.#versionLow = doubled(this.#versionLow);
    this.#versionHigh = doubled(this.#versionHigh);
    this.#secretLow = doubled(this.#secretLow);
    this.#secretHigh = doubled(this.#secretHigh);
    this.logoutS = doubled(this.logoutS);
    this.endsS = doubled(this.endsS);
    this.firstSession = doubled(this.firstSession);
    this.devices = doubled(this.devices);
    this.epoch = doubled(this.epoch);
  }
}

const UID_LENGTH_MAX = 128;
const scratch = Buffer.alloc(UID_LENGTH_MAX * 3);

/** FNV-1a; the index mixes it further. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function secretOf(user: User): string {
  return user.secret.password ?? user.secret.ha1Sha256 ?? user.secret.ha1Md5 ?? '';
}

function encode(user: User): string {
  return [
    user.uid,
    clean(user.basic.alias.slice(0, ALIAS_LENGTH_MAX)),
    user.contact.telephones
      .slice(0, TELEPHONES_MAX)
      .map((number) => clean(number.slice(0, TELEPHONE_LENGTH_MAX)))
      .join(ITEM),
    user.lists.buddies.slice(0, LIST_ENTRIES_MAX).join(' '),
    user.lists.blocked.slice(0, LIST_ENTRIES_MAX).join(' '),
  ].join(FIELD);
}

function clean(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ');
}

function list(text: string, separator: string): string[] {
  return text === '' ? [] : text.split(separator);
}

function audience(code: number): Audience {
  return AUDIENCES[code & 3] ?? 'none';
}
