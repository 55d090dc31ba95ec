/** The one Contact of an ordinary REGISTER: as the reader has found it, and compared with what is registered. */
import { equalBytes } from '../base/bytes.ts';
import { FIELD_BYTE } from '../heartbeat/fields.ts';
import type { TextPlace } from '../heartbeat/session-rows.ts';
import { REGISTRATION_FIELD_BYTE } from './bindings.ts';
import { readDecimal } from './express-bytes.ts';
import type { ExpressHead } from './express-head.ts';
import { CONTACT_PARAMS, CONTACT_URI_AT, CONTACT_URI_END } from './express-layout.ts';
import { reader } from './express-reader.ts';
import { CALL_ID } from './header-names.ts';
import { EXPIRES_MAX } from './message.ts';

/** Parameters that a registration knows; the first is not kept. */
const EXPIRES_PARAM = 0;
export const Q = 1;
export const REG_ID = 2;
export const INSTANCE_ID = 3;

const { bytes, view, places } = reader;

export class ExpressContact {
  readonly view = view;
  /** Seconds, from its parameter; -1 where there is none. */
  expires = -1;

  /** Whether the request has one, `<uri>` with these parameters only. */
  read(): boolean {
    this.expires = -1;
    if (reader.readContact() === 0) return false;
    if (!this.has(EXPIRES_PARAM)) return true;
    this.expires = readDecimal(bytes, this.at(EXPIRES_PARAM), this.end(EXPIRES_PARAM), EXPIRES_MAX);
    return this.expires >= 0;
  }

  get uriAt(): number {
    return places[CONTACT_URI_AT] ?? 0;
  }
  get uriEnd(): number {
    return places[CONTACT_URI_END] ?? 0;
  }

  /** Where the value of the parameter begins, without quotes; 0 where there is none. */
  at(param: number): number {
    return places[CONTACT_PARAMS + param * 2] ?? 0;
  }
  end(param: number): number {
    return places[CONTACT_PARAMS + param * 2 + 1] ?? 0;
  }
  has(param: number): boolean {
    return this.at(param) !== 0;
  }

  /**
   * Whether the session is registered with this very contact, by this Call-ID and without a Path: whether its text ends
   * with what formatRegistration() makes of them.
   */
  isRegistered(head: ExpressHead, text: TextPlace): boolean {
    let to = text.end - 1;
    if (to < text.at || text.bytes.getUint8(to) !== REGISTRATION_FIELD_BYTE) return false;
    for (let param = INSTANCE_ID; param >= Q; param--)
      to = fieldBefore(text, to, this.at(param), this.end(param), REGISTRATION_FIELD_BYTE);
    to = fieldBefore(text, to, head.at(CALL_ID), head.end(CALL_ID), FIELD_BYTE);
    return fieldBefore(text, to, this.uriAt, this.uriEnd, FIELD_BYTE) >= 0;
  }
}

/** Where the separator in front of the field stands, which ends at `to` and must be `at`–`end` of the message; else -1. */
function fieldBefore(text: TextPlace, to: number, at: number, end: number, separator: number): number {
  const from = to - (end - at);
  if (from <= text.at || text.bytes.getUint8(from - 1) !== separator) return -1;
  return equalBytes(text.bytes, from, to, view, at, end) ? from - 1 : -1;
}
