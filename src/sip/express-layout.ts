/**
 * The memory that the express lane shares with its reader (assembly/): both import these numbers. Offsets count from
 * its beginning on both sides; 0 is no place.
 */

/** Of each header by its number 32 bits each: where its value begins (0: there is none), and where it ends. */
export const VALUES = 0;
export const HEADERS_MAX = 128;
/** Header lines of a message, as in head.ts: the general path refuses more, so they must get there. */
export const LINES_MAX = 256;

/** 32 bits each, numbered from here. */
export const PLACES = 1_024;

/** Of a URI, a port behind it left out; USER_AT and USER_END 0 where it names only a host. */
export const USER_AT = 0;
export const USER_END = 1;
export const HOST_AT = 2;
export const HOST_END = 3;
/** Of a From or To as well; 0 where there is none. */
export const TAG_AT = 4;
export const TAG_END = 5;

export const URI_AT = 1;
export const URI_END = 2;
/** As above; HOST_AT 0 where the Request-URI is out of the ordinary. */
export const URI = 3;
export const FROM_PLACE = 7;
export const TO_PLACE = 13;
export const CSEQ_NUMBER = 19;
/** The first Via: its host, where a port behind it ends, and where `rport` ends. */
export const VIA_HOST_AT = 20;
export const VIA_HOST_END = 21;
export const VIA_PORT_END = 22;
export const RPORT_END = 23;
export const BRANCH_AT = 24;
export const BRANCH_END = 25;
export const CONTACT_URI_AT = 26;
export const CONTACT_URI_END = 27;
/** Where the value of each parameter begins and ends, without quotes; 0 where there is none. */
export const CONTACT_PARAMS = 28;
export const CONTACT_PARAMS_MAX = 4;
/** The same of a Digest answer, and its nonce-count, without a sign. */
export const DIGEST_PARAMS = 36;
export const DIGEST_PARAMS_MAX = 9;
export const DIGEST_COUNT = 54;
/** Of the method in the CSeq of an answer: its number. */
export const METHOD = 55;
/** Where the first line ends, without its CR and LF, and where the body begins. */
export const FIRST_LINE_END = 56;
export const BODY_AT = 57;
/** Header lines there are. */
export const LINES_COUNT = 58;
/** Of a request: a number for the host that Request-URI, From and To have in common; 0 where it is not known that they do. */
export const ONE_HOST = 59;

export const PLACES_END = 2_048;

/** Sets of ASCII characters, 16 bytes each: bit h of byte l says whether the character h * 16 + l is in it. */
export const SET_BYTES = 16;
/** Classes of syntax.ts. */
export const TOKENS = 2_048;
export const DIGITS = 2_064;
export const PLAIN_USERS = 2_080;
/** What a Call-ID may have. */
export const CALL_IDS = 2_096;

/** The host of a URI that was read last. */
export const LAST_HOST = 2_304;
export const LAST_HOST_BYTES_MAX = 64;

/** Names by length and first letter: where the first entry stands, 16 bits each; 0: there is none. */
export const BUCKETS = 4_096;
export const BUCKETS_MAX = 1_024;
/**
 * An entry: name, 24 bytes; the bits in which capitals may differ from it, 24 bytes, all of them behind its end; its number,
 * and whether another entry of the same bucket follows, 32 bits each.
 */
export const ENTRIES = 6_144;
export const ENTRY_BYTES = 56;
export const NAME_BYTES_MAX = 24;
export const FOLDS = 24;
export const NUMBER = 48;
export const FOLLOWED = 52;
export const ENTRIES_END = 12_288;

/** Of each header line its number and where it begins, 32 bits each. */
export const LINES = 12_288;
export const LINE_BYTES = 8;

/** By the number of a header in what a line of it is left out where a message is sent on: bits, a byte each. */
export const DROPS = 14_336;

/** The request. What stands behind it, of longer ones before, may be looked at, but never counts. */
export const MESSAGE = 16_384;
export const MESSAGE_BYTES_MAX = 2_048;

/** The numbers of the headers in VALUES that are there, a byte each. */
export const FOUND = 2_688;

/** The To tag of an answer without state. */
export const TAG = 2_560;
export const TAG_BYTES = 16;
/** What decides where a request goes, as a hash: of the same length. */
export const LOOP = 2_592;
/** Where the request came from; no host is longer. */
export const SOURCE_HOST = 2_624;
export const HOST_BYTES_MAX = 64;

/** Where answers are written, one after the other: up to the end of the memory, so that there is room for each. */
export const ANSWER = 20_480;
