/** `field=value` on the command line: the fields of a user by name, as changes of the record. */
import { readFileSync } from 'node:fs';
import { AUDIENCES } from '../base/model.ts';
import type { ChangesBody } from '../http/admin-text.ts';
import { CommandError, EXIT } from './failures.ts';

type Read = (text: string) => unknown;
type Group = 'basic' | 'contact' | 'service' | 'forwarding' | 'lists';
type Account = NonNullable<ChangesBody['voip']>[number];

const text: Read = (value) => value;
const flag: Read = (value) => {
  if (['true', 'yes', 'on', '1'].includes(value)) return true;
  if (['false', 'no', 'off', '0'].includes(value)) return false;
  throw usage('must be yes or no');
};
const number: Read = (value) => {
  if (!/^\d{1,15}$/.test(value)) throw usage('must be a number');
  return Number(value);
};
const maybeNumber: Read = (value) => (value === '' ? null : number(value));
/** By `;` too, as the client protocol writes lists. An entry that holds one of them goes in over HTTP. */
export const list = (value: string): string[] =>
  value
    .split(/[,;]/)
    .map((one) => one.trim())
    .filter((one) => one !== '');
const audience: Read = (value) => {
  if (!(AUDIENCES as readonly string[]).includes(value)) throw usage(`must be one of: ${AUDIENCES.join(', ')}`);
  return value;
};
const time: Read = (value) => {
  if (value === '' || value === 'never') return null;
  const ms = Date.parse(value);
  if (Number.isNaN(ms)) throw usage('must be a date such as 2027-01-31 or 2027-01-31T12:00:00Z, or never');
  return ms;
};

interface Field {
  readonly group: Group;
  readonly key: string;
  readonly read: Read;
  readonly help: string;
}

const field = (group: Group, key: string, read: Read, help: string): Field => ({ group, key, read, help });

/** All fields but the VOIP accounts, `xmlext` and the password. */
const FIELDS: Readonly<Record<string, Field>> = {
  alias: field('basic', 'alias', text, 'the name that others see'),
  avatar: field('basic', 'avatar', text, 'URL of a picture'),
  age: field('basic', 'age', maybeNumber, 'years; empty: unknown'),
  gender: field('basic', 'gender', text, ''),
  country: field('basic', 'country', text, ''),
  state: field('basic', 'state', text, ''),
  city: field('basic', 'city', text, ''),
  telephones: field('contact', 'telephones', list, 'numbers, separated by commas or semicolons'),
  mails: field('contact', 'mails', list, 'addresses, likewise'),
  visibleTo: field('contact', 'visibleTo', audience, 'who sees telephones and mails: all, buddies, none'),
  enabled: field('service', 'enabled', flag, 'yes or no'),
  expiresAt: field('service', 'expiresAt', time, 'a date, or never'),
  mayCallOut: field('service', 'mayCallOut', flag, 'yes or no'),
  mayBeCalledBy: field('service', 'mayBeCalledBy', audience, 'all, buddies, none'),
  devicesMax: field('service', 'devicesMax', number, '1 to 100'),
  privacy: field('service', 'privacy', audience, 'who sees addresses and telephones: all, buddies, none'),
  forwardAlways: field('forwarding', 'always', text, 'a uid, number or URI; empty: not'),
  forwardBusy: field('forwarding', 'busy', text, ''),
  forwardNoAnswer: field('forwarding', 'noAnswer', text, ''),
  forwardNoAnswerSeconds: field('forwarding', 'noAnswerSeconds', number, 'how long it rings before'),
  forwardUnreachable: field('forwarding', 'unreachable', text, ''),
  buddies: field('lists', 'buddies', list, 'uids, likewise'),
  blocked: field('lists', 'blocked', list, ''),
  asked: field('lists', 'asked', list, 'uids whose consent he waits for'),
  asking: field('lists', 'asking', list, 'uids who wait for his'),
};

/** For the help of the commands. */
export const FIELDS_HELP = `Fields (as field=value; a value @FILE is read from the file):
${Object.entries(FIELDS)
  .map(([name, { help }]) => `  ${name.padEnd(22)}  ${help}`.trimEnd())
  .join('\n')}
  voip                    JSON list of accounts: [{"type":"SIP","e164":"…","servers":"ip:port;…"}]
                          (type, enabled, servers, e164, outbound, property, ttl, password; without a
                          password the stored one of the same type and e164 stays)
  xmlext                  XML fragment that goes into his CONFIG; empty: none`;

/** `field=value` arguments as one change; throws a CommandError that names the field. */
export function readChanges(args: readonly string[]): ChangesBody {
  const changes: Record<string, unknown> = {};
  for (const arg of args) {
    const at = arg.indexOf('=');
    const name = arg.slice(0, Math.max(at, 0));
    if (at < 1) throw usage(`${arg}: must be field=value`);
    try {
      readField(changes, name, valueOf(arg.slice(at + 1)));
    } catch (error) {
      if (error instanceof CommandError) throw new CommandError(error.exitCode, `${name}: ${error.message}`);
      throw error;
    }
  }
  return changes;
}

function readField(changes: Record<string, unknown>, name: string, value: string): void {
  if (name === 'xmlext') changes['xmlext'] = value;
  else if (name === 'voip') changes['voip'] = readAccounts(value);
  else {
    const known = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (known === undefined) throw usage('no such field; vserver user set --help lists them');
    changes[known.group] = { ...(changes[known.group] as object | undefined), [known.key]: known.read(value) };
  }
}

function valueOf(value: string): string {
  if (!value.startsWith('@')) return value;
  try {
    return readFileSync(value.slice(1), 'utf8');
  } catch (error) {
    throw new CommandError(EXIT.notFound, `${value.slice(1)} can't be read: ${(error as Error).message}`);
  }
}

function readAccounts(json: string): Account[] {
  let accounts: unknown;
  try {
    accounts = json === '' ? [] : JSON.parse(json);
  } catch {
    // The parser's message would quote the value, which may hold a password.
    throw usage('is no JSON');
  }
  if (!Array.isArray(accounts)) throw usage('must be a JSON list');
  return accounts.map(readAccount);
}

const ACCOUNT_TEXTS = ['servers', 'e164', 'outbound', 'property', 'ttl', 'password'];

function readAccount(account: unknown, index: number): Account {
  const where = `account ${index + 1}`;
  if (typeof account !== 'object' || account === null) throw usage(`${where}: must be an object`);
  for (const [key, value] of Object.entries(account)) {
    if (key === 'type' ? value !== 'SIP' && value !== 'H323' : key === 'enabled' && typeof value !== 'boolean') {
      throw usage(`${where}: type must be SIP or H323, enabled true or false`);
    }
    if (key === 'type' || key === 'enabled') continue;
    if (!ACCOUNT_TEXTS.includes(key)) throw usage(`${where}: ${key} is no field of an account`);
    if (typeof value !== 'string') throw usage(`${where}: ${key} must be text`);
  }
  if (!('type' in account)) throw usage(`${where}: type is missing`);
  return account as Account;
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, message);
}
