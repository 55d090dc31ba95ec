/** A registration as a session of the online table: what the SIP edge keeps in its texts and columns. */
import { isIP } from 'node:net';
import type { Address } from '../base/model.ts';
import type { OnlineTable } from '../heartbeat/online.ts';
import type { DeviceText } from '../heartbeat/session-rows.ts';
import type { NameAddr } from './name-addr.ts';
import { parseUri, sameSipUri } from './uri.ts';
import type { SipUri } from './uri.ts';

export interface Binding {
  readonly row: number;
  readonly text: DeviceText;
  readonly registration: Registration;
}

export interface Registration {
  readonly callId: string;
  /** As the phone wrote it; '' where it gave none. */
  readonly q: string;
  /** RFC 5626; '' where the phone gave none. */
  readonly regId: string;
  /** The `+sip.instance` without quotes; '' where the phone gave none. */
  readonly instanceId: string;
  /** The Path header of the registration (RFC 3327), lists joined; '' where there is none. */
  readonly path: string;
  /** In front of it: the Path value of the node that the phone talks to; '' where that is this one. */
  readonly edge: string;
}

/** Cannot stand in a header. */
const FIELD = '\x1e';
export const REGISTRATION_FIELD_BYTE = 0x1e;

/** Without an edge there is no field for it: the express lane knows what it may answer by the last field. */
export function formatRegistration({ callId, q, regId, instanceId, path, edge }: Registration): string {
  return [callId, q, regId, instanceId, path, ...(edge === '' ? [] : [edge])].join(FIELD);
}

export function parseRegistration(text: string): Registration {
  const [callId = '', q = '', regId = '', instanceId = '', path = '', edge = ''] = text.split(FIELD);
  return { callId, q, regId, instanceId, path, edge };
}

/** The SIP registrations of the user, newest login first. */
export function bindingsOf(table: OnlineTable, uid: string): Binding[] {
  return bindingRowsOf(table, uid).map((row) => {
    const text = table.sessions.text(row);
    return { row, text, registration: parseRegistration(text.registration) };
  });
}

export function rowsOf(bindings: readonly Binding[]): number[] {
  return bindings.map(({ row }) => row);
}

/** The rows of the user's SIP registrations, the newest login first. */
export function bindingRowsOf(table: OnlineTable, uid: string): number[] {
  const userRow = table.users.find(uid);
  return userRow < 0 ? [] : table.rowsOf(userRow).filter((row) => table.sessions.isSip(row));
}

/** The binding of this device: by its instance (RFC 5626 6), else by its Contact URI (RFC 3261 10.3 and 19.1.4). */
export function findBinding(bindings: readonly Binding[], instance: string, uri: SipUri): Binding | undefined {
  return bindings.find(({ text }) => {
    if (text.instance === instance || text.contact === uri.text) return true;
    const other = parseUri(text.contact);
    return other !== null && (other.scheme === 'sip' || other.scheme === 'sips') && sameSipUri(other, uri);
  });
}

/** The stable id of the device that registers this contact (PROTOCOL.md, Several devices). */
export function instanceOf(contact: NameAddr): string {
  const id = contact.params.get('+sip.instance') ?? '';
  if (id === '') return contact.uri.text;
  const regId = contact.params.get('reg-id') ?? '';
  return regId === '' ? id : `${id};reg-id=${regId}`;
}

/** The client's own address, where its Contact tells one. */
export function localOf({ host, port }: SipUri): Address | null {
  return isIP(host) === 0 ? null : { host, port: port ?? 5060 };
}

/** The value of a Contact header in the answer to REGISTER. */
export function contactValue({ text, registration }: Binding, remainingS: number): string {
  const { q, instanceId, regId } = registration;
  let value = `<${text.contact}>;expires=${remainingS}`;
  if (q !== '') value += `;q=${q}`;
  if (instanceId !== '') value += `;+sip.instance="${instanceId.replace(/["\\]/g, '\\$&')}"`;
  if (regId !== '') value += `;reg-id=${regId}`;
  return value;
}

/** Seconds until the session ends if nothing more is heard; 0 at least. */
export function remainingS({ sessions }: OnlineTable, row: number, nowS: number): number {
  return Math.max(0, sessions.seenS(row) + sessions.lifetimeS(row) - nowS);
}

export interface Ha1 {
  readonly algorithm: 'MD5' | 'SHA-256';
  readonly ha1: string;
}

export function ha1Of({ sessions }: OnlineTable, row: number): Ha1 {
  return ha1OfKey(Buffer.from(sessions.key(row)).toString('hex'));
}

/** Of a session that was opened by Digest the key is HA1, an MD5 one padded with zeros. */
export function ha1OfKey(key: string): Ha1 {
  return key.endsWith(NO_SHA256)
    ? { algorithm: 'MD5', ha1: key.slice(0, MD5_HEX) }
    : { algorithm: 'SHA-256', ha1: key };
}
const MD5_HEX = 32;
const NO_SHA256 = '0'.repeat(MD5_HEX);
