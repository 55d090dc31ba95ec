/** Requests of the ordinary kind. */
import {
  BODY_AT,
  BRANCH_AT,
  BRANCH_END,
  CSEQ_NUMBER,
  FIRST_LINE_END,
  FROM_PLACE,
  HOST_AT,
  MESSAGE,
  ONE_HOST,
  RPORT_END,
  TO_PLACE,
  TOKENS,
  URI,
  URI_AT,
  URI_END,
  VIA_PORT_END,
} from '../express-layout';
import { CSEQ, FROM, MAX_FORWARDS, TO, VIA } from '../header-numbers';
import { decimal, skip, standsAt, wordEnd } from './bytes';
import { SEMICOLON, SPACE } from './characters';
import { endOf, hasCallId, isWhole, readLines, readPerson, valueOf, viaPortEnd } from './lines';
import { oneHost, placeOf, readUri, setPlace, startUris } from './uri';

/** `REGISTER`, `OPTIONS `, `MESSAGE `, `INVITE `, `ACK `, `BYE `. */
const REGISTER: u64 = 0x5245545349474552;
const OPTIONS: u64 = 0x20534e4f4954504f;
const MESSAGE_METHOD: u64 = 0x204547415353454d;
const INVITE: u64 = 0x20455449564e49;
const ACK: u64 = 0x204b4341;
const BYE: u64 = 0x20455942;

const CSEQ_MAX: i64 = 0x7fffffff;
const FORWARDS_MAX: i64 = 255;

/** The length of the name of the method that the message begins with; 0 where it is none of these. */
function methodLength(): i32 {
  if (standsAt(MESSAGE, 8, REGISTER) && load<u8>(MESSAGE, 8) === SPACE) return 8;
  if (standsAt(MESSAGE, 8, OPTIONS) || standsAt(MESSAGE, 8, MESSAGE_METHOD)) return 7;
  if (standsAt(MESSAGE, 7, INVITE)) return 6;
  return standsAt(MESSAGE, 4, ACK) || standsAt(MESSAGE, 4, BYE) ? 3 : 0;
}

/** Reads the request of so many bytes, behind which stands a 0. The length of its method; 0: nothing is known of it. */
export function readRequest(length: i32): i32 {
  const method = methodLength();
  if (method === 0) return 0;
  const end = MESSAGE + length;
  const uriAt = MESSAGE + method + 1;
  const uriEnd = wordEnd(uriAt);
  // ` SIP/2.0` and the end of the line.
  if (load<u64>(uriEnd) !== 0x302e322f50495320 || load<u16>(uriEnd, 8) !== 0x0a0d) return 0;
  const bodyAt = readLines(uriEnd + 10, end, 0);
  setPlace(FIRST_LINE_END, uriEnd + 8);
  setPlace(BODY_AT, bodyAt);
  startUris();
  const isOrdinary =
    isWhole(bodyAt, end) &&
    decimal(valueOf(MAX_FORWARDS), endOf(MAX_FORWARDS), FORWARDS_MAX) > 0 &&
    readCSeq(method) &&
    hasCallId() &&
    readVia() &&
    readPerson(FROM, FROM_PLACE) &&
    readPerson(TO, TO_PLACE);
  if (!isOrdinary) return 0;
  setPlace(URI_AT, uriAt);
  setPlace(URI_END, uriEnd);
  if (readUri(uriAt, uriEnd, URI) !== uriEnd) setPlace(URI + HOST_AT, 0);
  setPlace(ONE_HOST, oneHost());
  return method;
}

/** A number and the method. */
function readCSeq(method: i32): bool {
  const at = valueOf(CSEQ);
  const end = endOf(CSEQ);
  const digitsEnd = end - method - 1;
  if (at === 0 || digitsEnd <= at || load<u8>(digitsEnd) !== SPACE) return false;
  for (let i = 0; i < method; i++) if (load<u8>(digitsEnd + 1 + i) !== load<u8>(MESSAGE + i)) return false;
  const number = decimal(at, digitsEnd, CSEQ_MAX);
  setPlace(CSEQ_NUMBER, number as i32);
  return number >= 0;
}

/** `SIP/2.0/UDP 192.0.2.1:5060` with `branch` and `rport`, in either order, and nothing else. */
function readVia(): bool {
  const at = valueOf(VIA);
  const end = endOf(VIA);
  let i = viaPortEnd(at, end);
  if (i < 0) return false;
  setPlace(VIA_PORT_END, i);
  let rportEnd = 0;
  let branchAt = 0;
  while (i < end) {
    if (load<u8>(i) !== SEMICOLON) return false;
    const nameAt = i + 1;
    if (rportEnd === 0 && standsAt(nameAt, 5, 0x74726f7072)) {
      i = rportEnd = nameAt + 5;
    } else if (branchAt === 0 && standsAt(nameAt, 7, 0x3d68636e617262)) {
      branchAt = nameAt + 7;
      i = skip(branchAt, end, TOKENS);
      if (i === branchAt) return false;
      setPlace(BRANCH_END, i);
    } else return false;
  }
  setPlace(RPORT_END, rportEnd);
  setPlace(BRANCH_AT, branchAt);
  return i === end && rportEnd !== 0 && branchAt !== 0;
}
