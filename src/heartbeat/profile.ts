/** What is kept of a user's record while he is online, and the text of it in the table. */
import { hash } from 'node:crypto';
import type { Audience, Forwarding, User } from '../base/model.ts';
import { LIST_ENTRIES_MAX, NO_FORWARDING } from '../base/model.ts';
import { FIELD, FIELD_BYTE } from './fields.ts';

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
  readonly forwarding: Forwarding;
}

/** Digests by which a later read of the directory is compared with the one that was taken over. */
export interface Stamp {
  /** 16 hex characters of a SHA-256. */
  readonly version: string;
  readonly secret: string;
  /** When the account ends, epoch seconds; 0 = never. */
  readonly endsS: number;
}

/** What is kept of a user's record while he is online. */
export interface Kept {
  readonly profile: Profile;
  readonly stamp: Stamp;
}

/** The part of a record that is kept, bounded in length. */
export function keptOf(user: User, version: string): Kept {
  const { service, contact, lists } = user;
  return {
    profile: {
      uid: user.uid,
      alias: clean(user.basic.alias.slice(0, ALIAS_LENGTH_MAX)),
      telephones: contact.telephones.slice(0, TELEPHONES_MAX).map((one) => clean(one.slice(0, TELEPHONE_LENGTH_MAX))),
      buddies: lists.buddies.slice(0, LIST_ENTRIES_MAX),
      blocked: lists.blocked.slice(0, LIST_ENTRIES_MAX),
      privacy: service.privacy,
      contactVisibleTo: contact.visibleTo,
      mayBeCalledBy: service.mayBeCalledBy,
      mayCallOut: service.mayCallOut,
      devicesMax: service.devicesMax,
      forwarding: cleanForwarding(user.forwarding),
    },
    stamp: {
      version: digestOf(version),
      secret: secretDigest(user),
      endsS: service.expiresAt === null ? 0 : Math.ceil(service.expiresAt / 1000),
    },
  };
}

/** Changes when the user's password does. */
export function secretDigest(user: User): string {
  return digestOf(user.secret.password ?? user.secret.ha1Sha256 ?? user.secret.ha1Md5 ?? '');
}

/** 64 bits of SHA-256, as 16 hex characters. */
export function digestOf(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 16);
}

/** Fields of the stored text. */
export const UID = 0;
export const ALIAS = 1;
export const TELEPHONES = 2;
export const BUDDIES = 3;
export const BLOCKED = 4;
/** Between telephones. It can't stand in a uid, and is taken out of other texts before they are stored. */
export const ITEM = '\x1e';
const ALIAS_LENGTH_MAX = 256;
const TELEPHONES_MAX = 16;
const TELEPHONE_LENGTH_MAX = 64;
const FORWARD_LENGTH_MAX = 256;

/** The text fields, the uid first. */
export function encodeProfile(profile: Profile): string {
  return [
    profile.uid,
    profile.alias,
    profile.telephones.join(ITEM),
    profile.buddies.join(' '),
    profile.blocked.join(' '),
    encodeForwarding(profile.forwarding),
  ].join(FIELD);
}

/** Of the same as bytes, without reading the rest. */
export function blocksAndForwardsNothing(text: Uint8Array): boolean {
  return text[text.length - 1] === FIELD_BYTE && text[text.length - 2] === FIELD_BYTE;
}

function cleanForwarding({ always, busy, noAnswer, noAnswerSeconds, unreachable }: Forwarding): Forwarding {
  const target = (text: string): string => clean(text.slice(0, FORWARD_LENGTH_MAX));
  return {
    always: target(always),
    busy: target(busy),
    noAnswer: target(noAnswer),
    noAnswerSeconds,
    unreachable: target(unreachable),
  };
}

/** '' for those who forward nothing, which is nearly everybody. */
function encodeForwarding({ always, busy, noAnswer, noAnswerSeconds, unreachable }: Forwarding): string {
  const text = [always, busy, noAnswer, unreachable, String(noAnswerSeconds)].join(ITEM);
  return text === FORWARDS_NOTHING ? '' : text;
}
const FORWARDS_NOTHING = ['', '', '', '', String(NO_FORWARDING.noAnswerSeconds)].join(ITEM);

function decodeForwarding(text: string): Forwarding {
  if (text === '') return NO_FORWARDING;
  const [always = '', busy = '', noAnswer = '', unreachable = '', seconds = ''] = text.split(ITEM);
  return { always, busy, noAnswer, noAnswerSeconds: Number(seconds), unreachable };
}

function clean(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ');
}

/** The text fields back. */
export function decodeProfile(
  text: string,
): Pick<Profile, 'uid' | 'alias' | 'telephones' | 'buddies' | 'blocked' | 'forwarding'> {
  const [uid = '', alias = '', telephones = '', buddies = '', blocked = '', forwarding = ''] = text.split(FIELD);
  return {
    uid,
    alias,
    telephones: list(telephones, ITEM),
    buddies: list(buddies, ' '),
    blocked: list(blocked, ' '),
    forwarding: decodeForwarding(forwarding),
  };
}

function list(text: string, separator: string): string[] {
  return text === '' ? [] : text.split(separator);
}
