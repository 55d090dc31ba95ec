/** How the text of a setting becomes its value; each throws Unfit where it can't. */
import { isIP } from 'node:net';
import { DEFAULT_ATTRIBUTE_NAMES } from './directory/attribute-names.ts';

/** A value that a setting can't take; the message says what it can. */
export class Unfit extends Error {}

export const text = (value: string): string => {
  if (/\p{Cc}/u.test(value)) throw new Unfit('must not hold control characters');
  return value;
};
export const integer =
  (min: number, max: number) =>
  (value: string): number => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) throw new Unfit(`must be a number from ${min} to ${max}`);
    return number;
  };
export const oneOf =
  <const T extends string>(...choices: readonly T[]) =>
  (value: string): T => {
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw new Unfit(`must be one of: ${choices.join(', ')}`);
    return found;
  };
export const flag = (value: string): boolean => {
  if (['on', 'true', 'yes', '1'].includes(value)) return true;
  if (['off', 'false', 'no', '0', ''].includes(value)) return false;
  throw new Unfit('must be on or off');
};
export const host = (value: string): string => {
  if (isIP(value) === 0) throw new Unfit('must be an IP address');
  return value;
};
export const list = (value: string): readonly string[] => value.split(/[\s,;]+/).filter((item) => item !== '');
export const pairs = (value: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    list(value).map((item) => {
      const [key = '', name = ''] = item.split('=', 2);
      if (!(key in DEFAULT_ATTRIBUTE_NAMES)) throw new Unfit(`knows no field ${key} (docs/operations.md lists them)`);
      if (!/^[A-Za-z][A-Za-z0-9-]*$/.test(name)) throw new Unfit(`must be field=attribute pairs: ${item}`);
      return [key, name];
    }),
  );
export const realm = (value: string): string => {
  if (!/^[\x21\x23-\x39\x3b-\x5b\x5d-\x7e]{1,64}$/.test(value)) {
    throw new Unfit('must be 1 to 64 visible ASCII characters without : " and \\');
  }
  return value;
};
export const port = integer(0, 65_535);
export const natsServers = (value: string): string => {
  for (const server of value === '' ? [] : value.split(',')) {
    const url = URL.parse(server.trim());
    if (url === null || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '') {
      throw new Unfit('must be nats://host:port, several separated by commas');
    }
  }
  return text(value);
};
/** RFC 7065 section 3.1. */
export const turnUris = (value: string): readonly string[] => {
  const uris = list(value);
  const wrong = uris.find((uri) => !TURN_URI.test(uri));
  if (wrong !== undefined)
    throw new Unfit(`must be turn:host:port or turns:host:port, ?transport=udp or tcp: ${wrong}`);
  return uris;
};
const TURN_URI =
  /^turns?:(?:\[[\da-f:.]+\]|[a-z\d](?:[a-z\d.-]{0,253}[a-z\d])?)(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?$/i;
