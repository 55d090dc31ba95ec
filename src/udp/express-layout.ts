/**
 * The memory that the express lane shares with its WebAssembly (assembly/): both import these numbers. Offsets count from
 * its beginning on both sides.
 */

/** SHA256_CTX of OpenSSL, of which only the words of the state are used, which come first. */
export const CONTEXT = 0;
export const STATE_BYTES = 32;

/** The states of SHA-256 after the block of the key: of the inner hash of HMAC, and behind it of the outer one. */
export const KEY_STATES = 256;
/** The bytes of the key in use. */
export const KEY = 320;
export const KEY_BYTES = 32;
/** A block that is hashed by itself: that of the key, or what the outer hash is made of beside it. */
export const BLOCK = 352;
export const BLOCK_BYTES = 64;

/** 32 bits each, numbered from here. */
export const PLACES = 448;
export const UID_AT = 0;
export const UID_END = 1;
export const ID_AT = 2;
export const ID_END = 3;
export const SEQ = 4;
/** Four words each. */
export const COOKIE = 5;
export const MAC = 9;
/** The mac is made over what stands before. */
export const MAC_LINE_AT = 13;
export const PLACES_MAX = 16;

/** What each of the 256 bytes may be part of, a byte each. */
export const CLASSES = 512;
export const IN_ID = 1;
export const IN_UID = 2;

/** What readHead() answers of a message that is out of the ordinary. */
export const NONE = 0;
export const HEARTBEAT = 1;
export const LOCATE = 2;

/** In each of the two, behind the message, is room for the padding of a hash, and to look beyond the end. */
export const REQUEST = 1_024;
export const REPLY = 4_096;

/**
 * Of the user who is looked for: his record and that of his device, as they are stored (what is told of him stands in the
 * first of it), and addresses as text.
 */
export const USER_TEXT = 20_480;
export const USER_BYTES_MAX = 5_120;
export const DEVICE_TEXT = 28_672;
export const DEVICE_BYTES_MAX = 8_192;
export const WAN_TEXT = 40_960;
export const LOCAL_TEXT = 41_088;

/** Pieces of replies, numbered from here: up to 31 bytes each, and how many behind them. */
export const PIECES = 45_056;
export const PIECE_BYTES = 32;
export const USER_IS = 0;
export const ID_IS = 1;
export const ALIAS_IS = 2;
export const NOTE_IS = 3;
export const WAN_IS = 4;
export const LOCAL_IS = 5;
export const TELEPHONE_IS = 6;
export const DEVICE_IS = 7;
export const SIP_IS = 8;
/** By the numbers of statuses, networks and firewalls. */
export const STATUS_IS = 16;
export const NETWORK_IS = 32;
export const FIREWALL_IS = 48;
