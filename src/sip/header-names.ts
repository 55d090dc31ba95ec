/** The header names that the server treats apart from others (RFC 3261 20; compact forms of 7.3.3 and later RFCs). */
import { LAST_SINGLE } from './header-numbers.ts';

export {
  CALL_ID,
  CONTENT_LENGTH,
  CONTENT_TYPE,
  CSEQ,
  EXPIRES,
  FROM,
  LAST_SINGLE,
  MAX_FORWARDS,
  TO,
} from './header-numbers.ts';
export { CONTACT, RECORD_ROUTE, ROUTE, VIA } from './header-numbers.ts';

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
  ['VS-Ticket'],
];

const LAST_LIST = SINGLE.length + LISTS.length;

interface Known {
  /** In lower case. */
  readonly name: string;
  readonly number: number;
}

/** Of all of them, compact forms too. */
export const KNOWN_NAMES: readonly Known[] = [...SINGLE, ...LISTS, ...OTHERS].flatMap((names, index) =>
  names.map((name) => ({ name: name.toLowerCase(), number: index + 1 })),
);

/** By length and first letter, so that a name is compared with one or two others and no string is made of it. */
const BUCKETS: readonly Known[][] = Array.from({ length: 1024 }, () => []);
for (const known of KNOWN_NAMES) BUCKETS[bucketOf(known.name)]?.push(known);

export function bucketOf(text: string, at = 0, end = text.length): number {
  return ((end - at) << 5) | (text.charCodeAt(at) & 31);
}

/** The number of the header named in `at`–`end`, whatever its case and form; 0 where it is none of the above. */
export function headerNumber(text: string, at = 0, end = text.length): number {
  const bucket = BUCKETS[bucketOf(text, at, end)];
  if (bucket === undefined) return 0;
  for (const known of bucket) if (sameName(text, at, known.name)) return known.number;
  return 0;
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
/** Between nodes: who the caller is (redirect/tickets.ts). */
export const TICKET = headerNumber('VS-Ticket');
export const USER_AGENT = headerNumber('User-Agent');
/** Numbers are below this. */
export const HEADER_NUMBERS = SINGLE.length + LISTS.length + OTHERS.length + 1;
