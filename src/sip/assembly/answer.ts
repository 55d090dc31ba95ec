/** Answers of the ordinary kind to requests that we sent. */
import {
  BODY_AT,
  BRANCH_AT,
  BRANCH_END,
  DIGITS,
  FIRST_LINE_END,
  FROM_PLACE,
  MESSAGE,
  METHOD,
  TO_PLACE,
  TOKENS,
} from '../express-layout';
import { CSEQ, FROM, TO, VIA } from '../header-numbers';
import { decimal, ipv4End, lineEnd, skip, standsAt } from './bytes';
import { EQUALS, SEMICOLON, SPACE } from './characters';
import { endOf, hasCallId, isWhole, readLines, readPerson, valueOf, viaPortEnd } from './lines';
import { setPlace } from './uri';

const CSEQ_MAX: i64 = 0x7fffffff;

/** Reads the answer of so many bytes, behind which stands a 0. Its status; 0: nothing is known of it. */
export function readAnswer(length: i32): i32 {
  const end = MESSAGE + length;
  const statusAt = MESSAGE + 8;
  const statusEnd = statusAt + 3;
  // `SIP/2.0 `
  if (!standsAt(MESSAGE, 8, 0x20302e322f504953) || load<u8>(statusEnd) !== SPACE) return 0;
  const status = decimal(statusAt, statusEnd, 699) as i32;
  const firstEnd = lineEnd(statusEnd);
  if (status < 100 || load<u16>(firstEnd) !== 0x0a0d) return 0;
  const bodyAt = readLines(firstEnd + 2, end, VIA);
  setPlace(FIRST_LINE_END, firstEnd);
  setPlace(BODY_AT, bodyAt);
  const isOrdinary =
    isWhole(bodyAt, end) &&
    readCSeq() &&
    hasCallId() &&
    readVia() &&
    readPerson(FROM, FROM_PLACE) &&
    readPerson(TO, TO_PLACE);
  return isOrdinary ? status : 0;
}

/** A number, and one of the methods that are numbered in express-answer.ts. */
function readCSeq(): bool {
  const at = valueOf(CSEQ);
  const end = endOf(CSEQ);
  const digitsEnd = skip(at, end, DIGITS);
  if (decimal(at, digitsEnd, CSEQ_MAX) < 0 || load<u8>(digitsEnd) !== SPACE) return false;
  const method = methodNumber(digitsEnd + 1, end - digitsEnd - 1);
  setPlace(METHOD, method);
  return method !== 0;
}

/** `NOTIFY`, `MESSAGE`, `INVITE` and `BYE`. */
function methodNumber(at: i32, length: i32): i32 {
  if (length === 3) return standsAt(at, 3, 0x455942) ? 4 : 0;
  if (length === 7) return standsAt(at, 7, 0x4547415353454d) ? 2 : 0;
  if (length !== 6) return 0;
  return standsAt(at, 6, 0x594649544f4e) ? 1 : standsAt(at, 6, 0x455449564e49) ? 3 : 0;
}

/** The Via that we have put there, with what the other side has noted in it (RFC 3581). */
function readVia(): bool {
  const end = endOf(VIA);
  let i = viaPortEnd(valueOf(VIA), end);
  let branchAt = 0;
  let hasRport = false;
  let hasReceived = false;
  while (i > 0 && i < end) {
    if (load<u8>(i) !== SEMICOLON) return false;
    i++;
    // `branch=`, `rport`, `received=`
    if (branchAt === 0 && standsAt(i, 7, 0x3d68636e617262)) {
      branchAt = i + 7;
      i = skip(branchAt, end, TOKENS);
      if (i === branchAt) return false;
      setPlace(BRANCH_END, i);
    } else if (!hasRport && standsAt(i, 5, 0x74726f7072)) {
      hasRport = true;
      i += 5;
      if (load<u8>(i) !== EQUALS) continue;
      const portAt = i + 1;
      i = skip(portAt, end, DIGITS);
      if (i === portAt) return false;
    } else if (!hasReceived && standsAt(i, 8, 0x6465766965636572) && load<u8>(i, 8) === EQUALS) {
      hasReceived = true;
      i = ipv4End(i + 9, end);
    } else return false;
  }
  setPlace(BRANCH_AT, branchAt);
  return i === end && branchAt !== 0;
}
