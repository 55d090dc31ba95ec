/** The one Contact of an ordinary REGISTER or INVITE: read on its bytes, and compared with what is registered. */
import { FIELD_BYTE } from '../heartbeat/fields.ts';
import { REGISTRATION_FIELD_BYTE } from './bindings.ts';
import { equalsBytes, equalsText, readDecimal } from './express-bytes.ts';
import type { ExpressHead } from './express-head.ts';
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
const EXPIRES_PARAM = 0;
export const Q = 1;
export const REG_ID = 2;
export const INSTANCE_ID = 3;

export class ExpressContact {
  bytes: Uint8Array = new Uint8Array(0);
  uriAt = 0;
  uriEnd = 0;
  /** Of the value of each of NAMES, without quotes; start 0 where there is none. */
  readonly at = new Int32Array(NAMES.length);
  readonly end = new Int32Array(NAMES.length);
  /** Seconds, from its parameter; -1 where there is none. */
  expires = -1;

  /** Whether there is one, `<uri>` with parameters of NAMES only. */
  read({ bytes, at, end: ends }: ExpressHead): boolean {
    this.bytes = bytes;
    this.at.fill(0);
    this.end.fill(0);
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
    const { bytes } = this;
    if (bytes[at] !== SEMICOLON) return -1;
    const nameEnd = skipBytes(bytes, at + 1, end, TOKEN);
    let name = 0;
    while (name < NAMES.length && !equalsText(bytes, at + 1, nameEnd, NAMES[name] ?? '')) name++;
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
  isRegistered({ at: starts, end: ends }: ExpressHead, text: Uint8Array): boolean {
    const { bytes, at, end } = this;
    let to = text.length;
    if (text[--to] !== REGISTRATION_FIELD_BYTE) return false;
    for (let name = INSTANCE_ID; name >= Q; name--) {
      const from = to - ((end[name] ?? 0) - (at[name] ?? 0));
      if (!equalsBytes(text, from, to, bytes, at[name] ?? 0, end[name] ?? 0)) return false;
      to = from - 1;
      if (text[to] !== REGISTRATION_FIELD_BYTE) return false;
    }
    const callIdAt = starts[CALL_ID] ?? 0;
    const callIdEnd = ends[CALL_ID] ?? 0;
    let from = to - (callIdEnd - callIdAt);
    if (!equalsBytes(text, from, to, bytes, callIdAt, callIdEnd) || text[from - 1] !== FIELD_BYTE) return false;
    to = from - 1;
    from = to - (this.uriEnd - this.uriAt);
    return equalsBytes(text, from, to, bytes, this.uriAt, this.uriEnd) && text[from - 1] === FIELD_BYTE;
  }
}
