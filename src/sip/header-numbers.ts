/**
 * Numbers of some of the known headers (header-names.ts), apart from their names because the reader of the express lane is
 * compiled with them.
 */

/** Those up to LAST_SINGLE may come only once in a message. */
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
