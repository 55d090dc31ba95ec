/** Messages of the client protocol (PROTOCOL.md section 1), to bytes: replies, and the requests of a client. */
import type { HeaderName, RequestVerb } from './message.ts';

/** Replies, and what the server sends on its own: `Error` and `Message`. */
export const REPLY_VERBS = [
  ...['Hello', 'Challenge', 'Welcome', 'Redirect', 'User', 'SeeAlso', 'Offline', 'Ok', 'NotModified', 'Config'],
  ...['Servers', 'Error', 'Message', 'Buddies', 'Presence'],
] as const;
export type ReplyVerb = (typeof REPLY_VERBS)[number];

/** Written in the order in which they stand; undefined ones are left out. `id` and `mac` are written by the encoder. */
export type Headers = { readonly [N in Exclude<HeaderName, 'id' | 'mac'>]?: string | number | undefined };

/** The mac over these bytes under the session key, 32 hex characters. */
export type MacOf<K> = (key: K, bytes: Uint8Array) => string;

const NONE: Headers = {};

/** `argument` may be several, separated by spaces, or ''. Control characters become spaces: no header can be injected. */
export function encode(verb: RequestVerb | ReplyVerb, argument: string, id: string, headers = NONE, body = ''): Buffer {
  return Buffer.from(`${head(verb, argument, id, headers)}\r\n${body}`);
}

/** The same with `mac` as its last header. */
export function encodeSigned<K>(
  key: K,
  macOf: MacOf<K>,
  verb: RequestVerb | ReplyVerb,
  argument: string,
  id: string,
  headers = NONE,
  body = '',
): Buffer {
  const text = head(verb, argument, id, headers);
  if (body !== '') {
    const mac = macOf(key, Buffer.from(`${text}\r\n${body}`));
    return Buffer.from(`${text}mac: ${mac}\r\n\r\n${body}`);
  }
  const bytes = Buffer.from(text + NO_MAC);
  const macLineAt = bytes.length - NO_MAC.length;
  bytes.write(macOf(key, bytes.subarray(0, macLineAt)), macLineAt + 5, 32, 'latin1');
  return bytes;
}
const NO_MAC = `mac: ${'0'.repeat(32)}\r\n\r\n`;

function head(verb: string, argument: string, id: string, headers: Headers): string {
  let text = argument === '' ? `${verb}\r\nid: ${clean(id)}\r\n` : `${verb} ${clean(argument)}\r\nid: ${clean(id)}\r\n`;
  for (const name in headers) {
    const value = headers[name as keyof Headers];
    if (value !== undefined) text += `${name}: ${typeof value === 'number' ? value : clean(value)}\r\n`;
  }
  return text;
}

function clean(value: string): string {
  return CONTROL.test(value) ? value.replace(CONTROLS, ' ') : value;
}
// The class Cc of Unicode, spelt out: with \p{Cc} the test takes three times as long, once a header.
const CONTROL = /[\0-\x1f\x7f-\x9f]/;
const CONTROLS = new RegExp(CONTROL, 'g');
