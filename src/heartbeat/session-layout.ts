/**
 * A session stands in one piece of 128 bytes, two neighbouring lines of the processor's cache: of a million sessions each
 * comes from far away, and every line that is fetched takes longer than the work on it. Offsets in words; those
 * called so, in bytes.
 */
import { WINDOW_WORDS } from './replay-window.ts';
import { LINK_WORDS } from './wheel.ts';

export const COOKIE_BYTES = 16;
export const KEY_BYTES = 32;

export const COOKIE = 0;
export const KEY = COOKIE + COOKIE_BYTES / 4;
export const SEEN_S = KEY + KEY_BYTES / 4;
export const LIFETIME_S = SEEN_S + 1;
export const LINKS = LIFETIME_S + 1;
export const WINDOW = LINKS + LINK_WORDS;
export const USER = WINDOW + WINDOW_WORDS;
/** Session row + 1 of the user's next device; in a free row the next free row + 1. */
export const NEXT_OF_USER = USER + 1;
export const LOGIN_S = NEXT_OF_USER + 1;
export const TEXT = LOGIN_S + 1;
/** Four bytes of IPv4 as they stand in memory; of IPv6 the reference of a text of 16. */
export const LOCAL_HOST = TEXT + 1;
export const ROW_WORDS = 32;
export const ROW_BYTES = 4 * ROW_WORDS;
export const LOCAL_PORT_BYTE = 4 * (LOCAL_HOST + 1);
export const LOCAL_KIND_BYTE = LOCAL_PORT_BYTE + 2;
export const STATE_BYTE = LOCAL_KIND_BYTE + 1;
export const STATUS_BYTE = STATE_BYTE + 1;
export const NETWORK_BYTE = STATUS_BYTE + 1;
export const FIREWALL_BYTE = NETWORK_BYTE + 1;
export const WAN_BYTE = FIREWALL_BYTE + 1;
