/** What stands in Contact and Authorization. */
import {
  CONTACT_PARAMS,
  CONTACT_PARAMS_MAX,
  CONTACT_URI_AT,
  CONTACT_URI_END,
  DIGEST_COUNT,
  DIGEST_PARAMS,
  DIGEST_PARAMS_MAX,
  TOKENS,
} from '../express-layout';
import { CONTACT } from '../header-numbers';
import { find, quotedEnd, skip, standsAt } from './bytes';
import { COMMA, EQUALS, GREATER, LESS, QUOTE, SEMICOLON, SPACE } from './characters';
import { endOf, valueOf } from './lines';
import { placeOf, setPlace } from './uri';

/** The offset of the nonce-count in DIGEST_PARAMS; its 8 digits. */
const NC = 6;

/** Of which contact parameter this is the name: `expires`, `q`, `reg-id`, `+sip.instance`; -1: none of them. */
function contactParam(at: i32, length: i32): i32 {
  if (length === 7) return standsAt(at, 7, 0x73657269707865) ? 0 : -1;
  if (length === 1) return load<u8>(at) === 0x71 ? 1 : -1;
  if (length === 6) return standsAt(at, 6, 0x64692d676572) ? 2 : -1;
  if (length !== 13) return -1;
  return standsAt(at, 8, 0x736e692e7069732b) && standsAt(at + 8, 5, 0x65636e6174) ? 3 : -1;
}

/** Whether there is one contact, `<uri>` with such parameters only. */
export function readContact(): bool {
  for (let i = 0; i < CONTACT_PARAMS_MAX * 2; i++) setPlace(CONTACT_PARAMS + i, 0);
  const end = endOf(CONTACT);
  let i = valueOf(CONTACT);
  if (i === 0 || load<u8>(i) !== LESS) return false;
  const uriAt = i + 1;
  i = find(GREATER, uriAt, end);
  if (i >= end) return false;
  setPlace(CONTACT_URI_AT, uriAt);
  setPlace(CONTACT_URI_END, i);
  i++;
  while (i < end) {
    if (load<u8>(i) !== SEMICOLON) return false;
    const nameAt = i + 1;
    const nameEnd = skip(nameAt, end, TOKENS);
    const name = contactParam(nameAt, nameEnd - nameAt);
    if (name < 0 || placeOf(CONTACT_PARAMS + name * 2) !== 0 || load<u8>(nameEnd) !== EQUALS) return false;
    i = readValue(nameEnd + 1, end, CONTACT_PARAMS + name * 2);
    if (i < 0 || placeOf(CONTACT_PARAMS + name * 2) === placeOf(CONTACT_PARAMS + name * 2 + 1)) return false;
  }
  return true;
}

/** A token or a quoted string without escapes: its content is set as `place`. The offset behind it, or -1. */
function readValue(at: i32, end: i32, place: i32): i32 {
  const isQuoted = load<u8>(at) === QUOTE;
  const from = isQuoted ? at + 1 : at;
  if (from > end) return -1;
  const to = isQuoted ? quotedEnd(from, end) : skip(from, end, TOKENS);
  setPlace(place, from);
  setPlace(place + 1, to);
  if (!isQuoted) return to;
  return to < end && load<u8>(to) === QUOTE ? to + 1 : -1;
}

/** Of which parameter of a Digest answer this is the name, numbered as in express-digest.ts; -1: none of them. */
function digestParam(at: i32, length: i32): i32 {
  switch (length) {
    case 8:
      if (standsAt(at, 8, 0x656d616e72657375)) return 0;
      return standsAt(at, 8, 0x65736e6f70736572) ? 4 : -1;
    case 5:
      if (standsAt(at, 5, 0x6d6c616572)) return 1;
      return standsAt(at, 5, 0x65636e6f6e) ? 2 : -1;
    case 3:
      if (standsAt(at, 3, 0x697275)) return 3;
      return standsAt(at, 3, 0x706f71) ? 7 : -1;
    case 6:
      return standsAt(at, 6, 0x65636e6f6e63) ? 5 : -1;
    case 2:
      return standsAt(at, 2, 0x636e) ? NC : -1;
    case 9:
      return standsAt(at, 8, 0x687469726f676c61) && load<u8>(at, 8) === 0x6d ? 8 : -1;
    default:
      return -1;
  }
}

/**
 * Whether Authorization, which stands in `at`–`end`, is a Digest answer with all of its parameters, none twice, the last one
 * (algorithm) left out or not, and no others.
 */
export function readDigest(at: i32, end: i32): bool {
  for (let i = 0; i < DIGEST_PARAMS_MAX * 2; i++) setPlace(DIGEST_PARAMS + i, 0);
  // `Digest `
  if (!standsAt(at, 7, 0x20747365676944)) return false;
  let i = at + 7;
  while (i < end) {
    while (load<u8>(i) === SPACE) i++;
    const nameEnd = skip(i, end, TOKENS);
    const name = digestParam(i, nameEnd - i);
    if (name < 0 || placeOf(DIGEST_PARAMS + name * 2) !== 0 || load<u8>(nameEnd) !== EQUALS) return false;
    i = readValue(nameEnd + 1, end, DIGEST_PARAMS + name * 2);
    if (i < 0) return false;
    if (i < end && load<u8>(i++) !== COMMA) return false;
  }
  for (let name = 0; name < DIGEST_PARAMS_MAX - 1; name++) {
    if (placeOf(DIGEST_PARAMS + name * 2) === 0) return false;
  }
  return i === end && readCount(placeOf(DIGEST_PARAMS + NC * 2), placeOf(DIGEST_PARAMS + NC * 2 + 1));
}

/** Eight hexadecimal digits in lower case. */
function readCount(at: i32, end: i32): bool {
  if (end - at !== 8) return false;
  let count = 0;
  for (let i = at; i < end; i++) {
    const byte = load<u8>(i) as i32;
    const digit = ((byte - 0x30) as u32) <= 9 ? byte - 0x30 : ((byte - 0x61) as u32) <= 5 ? byte - 0x57 : -1;
    if (digit < 0) return false;
    count = (count << 4) | digit;
  }
  setPlace(DIGEST_COUNT, count);
  return true;
}
