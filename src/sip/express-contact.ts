/** The one Contact of an ordinary REGISTER or INVITE: read on its bytes, and compared with what is registered. */
import { bytesOf, equalBytes, equalsText } from '../base/bytes.ts';
import { FIELD_BYTE } from '../heartbeat/fields.ts';
import type { TextPlace } from '../heartbeat/session-rows.ts';
import { REGISTRATION_FIELD_BYTE } from './bindings.ts';
import { readDecimal } from './express-bytes.ts';
import type { ExpressHead } from './express-head.ts';
import { clear } from './express-lines.ts';
import { CALL_ID, CONTACT } from './header-names.ts';
import { EXPIRES_MAX } from './message.ts';
import { skipBytes, TOKEN } from './syntax.ts';

const OPEN = 0x3c;
const CLOSE = 0x3e;
const QUOTE = 0x22;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/** Parameters that a registration knows; the first is not kept. */
const NAMES = ['expires', 'q', 'reg-id', '+sip.instance'] as const;
const NAME_BYTES = NAMES.map(bytesOf);
const EXPIRES_PARAM = 0;
export const Q = 1;
export const REG_ID = 2;
export const INSTANCE_ID = 3;

export class ExpressContact {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  uriAt = 0;
  uriEnd = 0;
  /** Of the value of each of NAMES, without quotes; start 0 where there is none. */
  readonly at = new Int32Array(NAMES.length);
  readonly end = new Int32Array(NAMES.length);
  /** Seconds, from its parameter; -1 where there is none. */
  expires = -1;

  /** Whether there is one, `<uri>` with parameters of NAMES only. */
  read({ bytes, view, at, end: ends }: ExpressHead): boolean {
    this.bytes = bytes;
    this.view = view;
    clear(this.at);
    clear(this.end);
    this.expires = -1;
    const end = ends[CONTACT] ?? 0;
    let i = at[CONTACT] ?? 0;
    if (i === 0 || bytes[i] !== OPEN) return false;
    this.uriAt = ++i;
    while (i < end && bytes[i] !== CLOSE) i++;
    this.uriEnd = i;
    if (bytes[i++] !== CLOSE) return false;
    while (i < end) {
      i = this.#readParam(i, end);
      if (i < 0) return false;
    }
    if (this.at[EXPIRES_PARAM] === 0) return true;
    this.expires = readDecimal(bytes, this.at[EXPIRES_PARAM] ?? 0, this.end[EXPIRES_PARAM] ?? 0, EXPIRES_MAX);
    return this.expires >= 0;
  }

  /** The offset behind the parameter that begins at `at`; -1 where it is none of NAMES, or came before. */
  #readParam(at: number, end: number): number {
    const { bytes, view } = this;
    if (bytes[at] !== SEMICOLON) return -1;
    const nameEnd = skipBytes(bytes, at + 1, end, TOKEN);
    let name = 0;
    while (name < NAMES.length && !isName(view, at + 1, nameEnd, name)) name++;
    if (name === NAMES.length || this.at[name] !== 0 || bytes[nameEnd] !== EQUALS) return -1;
    const isQuoted = bytes[nameEnd + 1] === QUOTE;
    const valueAt = nameEnd + (isQuoted ? 2 : 1);
    let i = valueAt;
    if (isQuoted) while (i < end && bytes[i] !== QUOTE && bytes[i] !== BACKSLASH) i++;
    else i = skipBytes(bytes, i, end, TOKEN);
    this.at[name] = valueAt;
    this.end[name] = i;
    if (i === valueAt || i > end) return -1;
    return isQuoted ? (bytes[i] === QUOTE && i < end ? i + 1 : -1) : i;
  }

  /**
   * Whether the session is registered with this very contact, by this Call-ID and without a Path: whether its text ends
   * with what formatRegistration() makes of them.
   */
  isRegistered({ at: starts, end: ends }: ExpressHead, text: TextPlace): boolean {
    const { at, end } = this;
    let to = text.end - 1;
    if (to < text.at || text.bytes.getUint8(to) !== REGISTRATION_FIELD_BYTE) return false;
    for (let name = INSTANCE_ID; name >= Q; name--)
      to = this.#fieldBefore(text, to, at[name] ?? 0, end[name] ?? 0, REGISTRATION_FIELD_BYTE);
    to = this.#fieldBefore(text, to, starts[CALL_ID] ?? 0, ends[CALL_ID] ?? 0, FIELD_BYTE);
    return this.#fieldBefore(text, to, this.uriAt, this.uriEnd, FIELD_BYTE) >= 0;
  }

  /** Where the separator in front of the field stands, which ends at `to` and must be `at`–`end` of the message; else -1. */
  #fieldBefore(text: TextPlace, to: number, at: number, end: number, separator: number): number {
    const from = to - (end - at);
    if (from <= text.at || text.bytes.getUint8(from - 1) !== separator) return -1;
    return equalBytes(text.bytes, from, to, this.view, at, end) ? from - 1 : -1;
  }
}

function isName(view: DataView, at: number, end: number, name: number): boolean {
  const text = NAME_BYTES[name];
  return text !== undefined && equalsText(view, at, end, text);
}
