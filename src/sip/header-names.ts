/** The header names that the server treats apart from others (RFC 3261 20; compact forms of 7.3.3 and later RFCs). */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf } from '../base/bytes.ts';

/** Numbers of the known headers. Those up to LAST_SINGLE may come only once in a message. */
export const FROM = 1;
export const TO = 2;
export const CALL_ID = 3;
export const CSEQ = 4;
export const MAX_FORWARDS = 5;
export const CONTENT_LENGTH = 6;
export const EXPIRES = 7;
export const CONTENT_TYPE = 8;
export const LAST_SINGLE = 24;
export const VIA = 25;
export const CONTACT = 26;
export const ROUTE = 27;
export const RECORD_ROUTE = 28;

const SINGLE: readonly (readonly string[])[] = [
  ['From', 'f'],
  ['To', 't'],
  ['Call-ID', 'i'],
  ['CSeq'],
  ['Max-Forwards'],
  ['Content-Length', 'l'],
  ['Expires'],
  ['Content-Type', 'c'],
  ['Content-Disposition'],
  ['Date'],
  ['Event', 'o'],
  ['MIME-Version'],
  ['Min-Expires'],
  ['Refer-To', 'r'],
  ['Referred-By', 'b'],
  ['Replaces'],
  ['Reply-To'],
  ['Retry-After'],
  ['Session-Expires', 'x'],
  ['SIP-ETag'],
  ['SIP-If-Match'],
  ['Subject', 's'],
  ['Subscription-State'],
  ['Timestamp'],
];

/** Each value stands for itself: a comma separates values, and the header may be repeated. */
const LISTS: readonly (readonly string[])[] = [
  ['Via', 'v'],
  ['Contact', 'm'],
  ['Route'],
  ['Record-Route'],
  ['Accept'],
  ['Accept-Encoding'],
  ['Accept-Language'],
  ['Alert-Info'],
  ['Allow'],
  ['Allow-Events', 'u'],
  ['Call-Info'],
  ['Content-Encoding', 'e'],
  ['Content-Language'],
  ['Error-Info'],
  ['In-Reply-To'],
  ['P-Asserted-Identity'],
  ['P-Preferred-Identity'],
  ['Path'],
  ['Proxy-Require'],
  ['Reason'],
  ['Require'],
  ['Security-Client'],
  ['Service-Route'],
  ['Supported', 'k'],
  ['Unsupported'],
  ['Warning'],
];

/** May come more than once, but a comma in them separates nothing. */
const OTHERS: readonly (readonly string[])[] = [
  ['Authorization'],
  ['Proxy-Authorization'],
  ['WWW-Authenticate'],
  ['Proxy-Authenticate'],
  ['User-Agent'],
  ['Server'],
  ['VS-Edge'],
];

const LAST_LIST = SINGLE.length + LISTS.length;

interface Known {
  readonly name: string;
  readonly bytes: Bytes;
  readonly number: number;
}

/** By length and first letter, so that a name is compared with one or two others and no string is made of it. */
const BUCKETS: readonly Known[][] = Array.from({ length: 1024 }, () => []);
[...SINGLE, ...LISTS, ...OTHERS].forEach((names, index) => {
  for (const name of names) {
    BUCKETS[bucketOf(name, 0, name.length)]?.push({
      name: name.toLowerCase(),
      bytes: bytesOf(name.toLowerCase()),
      number: index + 1,
    });
  }
});

function bucketOf(text: string, at: number, end: number): number {
  return ((end - at) << 5) | (text.charCodeAt(at) & 31);
}

/** The number of the header named in `at`–`end`, whatever its case and form; 0 where it is none of the above. */
export function headerNumber(text: string, at = 0, end = text.length): number {
  const bucket = BUCKETS[bucketOf(text, at, end)];
  if (bucket === undefined) return 0;
  for (const known of bucket) if (sameName(text, at, known.name)) return known.number;
  return 0;
}

/** The same for bytes, a token, of which no text is made. */
export function headerNumberIn(view: DataView, at: number, end: number): number {
  const bucket = BUCKETS[((end - at) << 5) | (view.getUint8(at) & 31)];
  if (bucket === undefined) return 0;
  for (const { bytes, number } of bucket) if (isNameAt(view, at, bytes)) return number;
  return 0;
}

/** As sameName, four characters at a time. */
function isNameAt(view: DataView, at: number, { view: name, length }: Bytes): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    if ((view.getInt32(at + i, true) | 0x20202020) !== name.getInt32(i, true)) return false;
  }
  for (; i < length; i++) if ((view.getUint8(at + i) | 0x20) !== name.getUint8(i)) return false;
  return true;
}

/** `name` is in lower case; of the characters of a token only letters have the bit that makes the difference. */
function sameName(text: string, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    if ((text.charCodeAt(at + i) | 0x20) !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether a comma separates values of the header with this number. */
export function isList(number: number): boolean {
  return number > LAST_SINGLE && number <= LAST_LIST;
}

export const REQUIRE = headerNumber('Require');
export const PROXY_REQUIRE = headerNumber('Proxy-Require');
export const PATH = headerNumber('Path');
export const SUPPORTED = headerNumber('Supported');
export const AUTHORIZATION = headerNumber('Authorization');
export const PROXY_AUTHORIZATION = headerNumber('Proxy-Authorization');
export const P_ASSERTED_IDENTITY = headerNumber('P-Asserted-Identity');
export const P_PREFERRED_IDENTITY = headerNumber('P-Preferred-Identity');
/** Between nodes (edge-statements.ts). */
export const EDGE = headerNumber('VS-Edge');
export const USER_AGENT = headerNumber('User-Agent');
/** Numbers are below this. */
export const HEADER_NUMBERS = SINGLE.length + LISTS.length + OTHERS.length + 1;
