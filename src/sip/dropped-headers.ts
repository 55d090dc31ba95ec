/** Which header lines go no further where a message is sent on: by the numbers of the headers. */
import {
  AUTHORIZATION,
  CONTENT_LENGTH,
  HEADER_NUMBERS,
  MAX_FORWARDS,
  P_ASSERTED_IDENTITY,
  P_PREFERRED_IDENTITY,
  PROXY_AUTHORIZATION,
  ROUTE,
  TICKET,
  VIA,
} from './header-names.ts';

/** Bits of DROPS: in a request; in a response; in a request that answers our challenge with it. */
export const IN_REQUEST = 1;
export const IN_RESPONSE = 2;
export const CREDENTIALS = 4;

/** By the number of the header; what stands in our own lines instead is among them. */
export const DROPS = new Uint8Array(HEADER_NUMBERS);
for (const number of [VIA, CONTENT_LENGTH]) DROPS[number] = IN_REQUEST | IN_RESPONSE;
for (const number of [ROUTE, MAX_FORWARDS]) DROPS[number] = IN_REQUEST;
// Never sent on as it came.
DROPS[TICKET] = IN_REQUEST;
/*
 * Who the sender says he is, which only a trust domain may be told (RFC 3325 5): phones are outside of ours, and no node
 * says it of anybody, so that it goes no further whoever sends it.
 */
for (const number of [P_ASSERTED_IDENTITY, P_PREFERRED_IDENTITY]) DROPS[number] = IN_REQUEST | IN_RESPONSE;
for (const number of [AUTHORIZATION, PROXY_AUTHORIZATION]) DROPS[number] = CREDENTIALS;
