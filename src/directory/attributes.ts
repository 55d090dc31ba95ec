/**
 * The mapping between LDAP attributes and the model, for the LDAP backend and for LDIF. Pure functions that never
 * throw for odd input: what can't be read has its default and is named in `problems`.
 */
import { formatAddress } from '../base/address.ts';
import { AUDIENCES, isUid, LIST_ENTRIES_MAX, NETWORKS, NOWHERE, SERVER_STATES } from '../base/model.ts';
import { userDefaults, VOIP_ACCOUNTS_MAX } from '../base/model.ts';
import type { Audience, Location, Region, ServerRecord, User, VoipAccount } from '../base/model.ts';
import { lowerCase } from './attribute-names.ts';
import type { AttributeName, AttributeNames } from './attribute-names.ts';
import { readerOf, writerOf } from './attribute-values.ts';
import type { Reader } from './attribute-values.ts';
import type { Attributes } from './directory.ts';
import { parseDn } from './dn.ts';

interface Read {
  /** Attributes that could not be read, in plain words without their values. */
  readonly problems: readonly string[];
}

export const NO_REGION: Region = Object.freeze({ name: '', countryCode: '' });

/** The user of an entry; what the entry does not say has the default of userDefaults. */
export function userFromAttributes(
  dn: string,
  attributes: Attributes,
  region: Region,
  names: AttributeNames,
): { readonly user: User } & Read {
  const read = readerOf(attributes, names);
  const uid = uidOf(dn, attributes, names);
  if (!isUid(uid)) read.problems.push(`${names.uid} is no uid`);
  const defaults = userDefaults(uid);
  const user: User = {
    uid,
    region: region.name,
    countryCode: region.countryCode,
    dn,
    secret: {
      password: passwordOf(attributes, names),
      ha1Md5: hexOf(read, names, 'ha1Md5', 32),
      ha1Sha256: hexOf(read, names, 'ha1Sha256', 64),
    },
    basic: {
      alias: read.text('alias'),
      avatar: read.text('avatar'),
      age: read.integer('age', 0, 200, null),
      gender: read.text('gender'),
      country: read.text('country'),
      state: read.text('state'),
      city: read.text('city'),
    },
    contact: {
      telephones: read.texts('telephone'),
      mails: read.texts('mail'),
      visibleTo: audienceOf(read, 'contactVisibleTo'),
    },
    service: {
      enabled: read.flag('enabled', true),
      expiresAt: read.time('expiresAt'),
      mayCallOut: read.flag('mayCallOut', true),
      mayBeCalledBy: audienceOf(read, 'mayBeCalledBy'),
      devicesMax: read.integer('devicesMax', 1, 100, defaults.service.devicesMax),
      privacy: audienceOf(read, 'privacy'),
    },
    forwarding: {
      always: read.text('forwardAlways'),
      busy: read.text('forwardBusy'),
      noAnswer: read.text('forwardNoAnswer'),
      noAnswerSeconds: read.integer('forwardNoAnswerSeconds', 1, 600, defaults.forwarding.noAnswerSeconds),
      unreachable: read.text('forwardUnreachable'),
    },
    lists: {
      buddies: uidsOf(read, names, 'buddy'),
      blocked: uidsOf(read, names, 'blocked'),
      asked: uidsOf(read, names, 'buddyAsked'),
      asking: uidsOf(read, names, 'buddyAsking'),
    },
    voip: voipOf(read, names),
    xmlext: read.text('xmlext'),
  };
  return { user, problems: read.problems };
}

/** The attributes of a user's entry (names in lower case), without his location: what differs from the defaults. */
export function userToAttributes(user: User, names: AttributeNames): Map<string, string[]> {
  const { attributes, put, integer, flag, choice, time } = writerOf(names);
  const { secret, basic, contact, service, forwarding, lists } = user;
  attributes.set('objectclass', ['inetOrgPerson', 'vserverUser']);
  // inetOrgPerson requires both of them; an attribute name in the settings may overwrite them.
  attributes.set('cn', [basic.alias.trim() === '' ? user.uid : basic.alias]);
  attributes.set('sn', [user.uid]);
  put('uid', user.uid);
  put('password', secret.password);
  put('ha1Md5', secret.ha1Md5);
  put('ha1Sha256', secret.ha1Sha256);
  put('alias', basic.alias);
  put('avatar', basic.avatar);
  integer('age', basic.age, null);
  put('gender', basic.gender);
  put('country', basic.country);
  put('state', basic.state);
  put('city', basic.city);
  put('telephone', contact.telephones);
  put('mail', contact.mails);
  choice('contactVisibleTo', contact.visibleTo, 'all');
  flag('enabled', service.enabled, true);
  time('expiresAt', service.expiresAt);
  flag('mayCallOut', service.mayCallOut, true);
  choice('mayBeCalledBy', service.mayBeCalledBy, 'all');
  integer('devicesMax', service.devicesMax, 5);
  choice('privacy', service.privacy, 'all');
  put('forwardAlways', forwarding.always);
  put('forwardBusy', forwarding.busy);
  put('forwardNoAnswer', forwarding.noAnswer);
  integer('forwardNoAnswerSeconds', forwarding.noAnswerSeconds, 20);
  put('forwardUnreachable', forwarding.unreachable);
  put('buddy', lists.buddies);
  put('blocked', lists.blocked);
  put('buddyAsked', lists.asked);
  put('buddyAsking', lists.asking);
  put('voipAccount', user.voip.map(formatVoipAccount));
  put('xmlext', user.xmlext);
  return attributes;
}

/** The uid of an entry: the one in its DN, where the attribute has several values. '' where there is none. */
export function uidOf(dn: string, attributes: Attributes, names: AttributeNames): string {
  const type = lowerCase(names).uid;
  const values = attributes.get(type) ?? [];
  const [first] = values;
  if (values.length === 1 && typeof first === 'string') return first;
  const named = parseDn(dn)?.[0]?.find((part) => part.type === type)?.value;
  return named ?? values.find((value) => typeof value === 'string') ?? '';
}

export function locationFromAttributes(
  attributes: Attributes,
  names: AttributeNames,
): { readonly location: Location } & Read {
  const read = readerOf(attributes, names);
  const epoch = epochOf(read);
  if (epoch === 0) return { location: NOWHERE, problems: read.problems };
  const name = read.text('locationServer');
  const address = read.address('locationAddress');
  const location: Location = {
    server: name === '' || address === null ? null : { name, address },
    network: read.choice('locationNetwork', NETWORKS, null),
    wan: read.address('locationWan'),
    local: read.address('locationLocal'),
    loginAt: read.time('locationLoginAt'),
    logoutAt: read.time('locationLogoutAt'),
    hidden: read.flag('locationHidden', false),
    epoch,
  };
  return { location, problems: read.problems };
}

/** Of the location alone. */
export function epochFromAttributes(attributes: Attributes, names: AttributeNames): number {
  return epochOf(readerOf(attributes, names));
}

function epochOf(read: Reader): number {
  return read.integer('locationEpoch', 0, Number.MAX_SAFE_INTEGER, 0);
}

/** Only what is set; a write of the location clears the others of LOCATION_FIELDS. */
export function locationToAttributes(location: Location, names: AttributeNames): Map<string, string[]> {
  const { attributes, put, integer, flag, time, address } = writerOf(names);
  put('locationServer', location.server?.name ?? null);
  address('locationAddress', location.server?.address ?? null);
  put('locationNetwork', location.network);
  address('locationWan', location.wan);
  address('locationLocal', location.local);
  time('locationLoginAt', location.loginAt);
  time('locationLogoutAt', location.logoutAt);
  flag('locationHidden', location.hidden, false);
  integer('locationEpoch', location.epoch, 0);
  return attributes;
}

/** null where the entry has no address, and so is no server that could be told to anybody. */
export function serverFromAttributes(
  attributes: Attributes,
  names: AttributeNames,
): { readonly server: ServerRecord | null } & Read {
  const read = readerOf(attributes, names);
  const name = firstText(attributes, 'cn');
  const host = read.text('serverIp');
  const port = read.integer('serverPort', 1, 65_535, 0);
  if (name === '' || host === '' || port === 0) return { server: null, problems: [...read.problems, 'no address'] };
  const server: ServerRecord = {
    name,
    udp: { host, port },
    http: read.text('serverHttp'),
    sip: read.address('serverSip'),
    state: read.choice('serverState', SERVER_STATES, 'off'),
    users: read.integer('serverUsers', 0, Number.MAX_SAFE_INTEGER, 0),
    usersMax: read.integer('serverUsersMax', 0, Number.MAX_SAFE_INTEGER, 0),
    startedAt: read.time('serverStartedAt') ?? 0,
    seenAt: read.time('serverSeenAt') ?? 0,
    version: read.text('serverVersion'),
  };
  return { server, problems: read.problems };
}

export function serverToAttributes(server: ServerRecord, names: AttributeNames): Map<string, string[]> {
  const { attributes, put, time } = writerOf(names);
  attributes.set('objectclass', ['vserverServer']);
  attributes.set('cn', [server.name]);
  put('serverIp', server.udp.host);
  put('serverPort', String(server.udp.port));
  put('serverHttp', server.http);
  put('serverSip', server.sip === null ? null : formatAddress(server.sip));
  put('serverState', server.state);
  put('serverUsers', String(server.users));
  put('serverUsersMax', String(server.usersMax));
  time('serverStartedAt', server.startedAt);
  time('serverSeenAt', server.seenAt);
  put('serverVersion', server.version);
  return attributes;
}

export interface Variable {
  readonly name: string;
  readonly value: string;
}

/** null where the entry has no name. */
export function variableFromAttributes(attributes: Attributes, names: AttributeNames): Variable | null {
  const name = firstText(attributes, 'cn');
  return name === '' ? null : { name, value: firstText(attributes, names.value) };
}

export function variableToAttributes(variable: Variable, names: AttributeNames): Map<string, string[]> {
  return new Map([
    ['objectclass', ['vserverVariable']],
    ['cn', [variable.name]],
    [lowerCase(names).value, [variable.value]],
  ]);
}

/** null where the entry has no `ou`. */
export function regionFromAttributes(attributes: Attributes, names: AttributeNames): Region | null {
  const name = firstText(attributes, 'ou');
  return name === '' ? null : { name, countryCode: firstText(attributes, names.countryCode) };
}

export function regionToAttributes(region: Region, names: AttributeNames): Map<string, string[]> {
  const attributes = new Map([['objectclass', ['organizationalUnit']]]);
  attributes.set('ou', [region.name]);
  if (region.countryCode !== '') {
    attributes.set('objectclass', ['organizationalUnit', 'vserverRegion']);
    attributes.set(lowerCase(names).countryCode, [region.countryCode]);
  }
  return attributes;
}

/** One voip account as text: a JSON object whose `n` is its place, since values in LDAP have no order. */
export function formatVoipAccount(account: VoipAccount, n: number): string {
  const { type, enabled, servers, e164, outbound, property, ttl, password } = account;
  return JSON.stringify({ n, type, enabled, servers, e164, outbound, property, ttl, password });
}

function voipOf(read: Reader, names: AttributeNames): readonly VoipAccount[] {
  const accounts: { n: number; account: VoipAccount }[] = [];
  for (const text of read.texts('voipAccount')) {
    const parsed = parseVoipAccount(text);
    if (parsed === null) read.problems.push(`${names.voipAccount} can't be read`);
    else accounts.push(parsed);
  }
  if (accounts.length > VOIP_ACCOUNTS_MAX) read.problems.push(`${names.voipAccount} has too many values`);
  accounts.sort((a, b) => a.n - b.n);
  return accounts.slice(0, VOIP_ACCOUNTS_MAX).map(({ account }) => account);
}

function parseVoipAccount(text: string): { n: number; account: VoipAccount } | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const fields = value as Record<string, unknown>;
  const { n = 0, type, enabled = true } = fields;
  if (typeof n !== 'number' || typeof enabled !== 'boolean' || (type !== 'SIP' && type !== 'H323')) return null;
  const field = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '');
  const [servers, e164, outbound] = [field('servers'), field('e164'), field('outbound')];
  const [property, ttl, password] = [field('property'), field('ttl'), field('password')];
  return { n, account: { type, enabled, servers, e164, outbound, property, ttl, password } };
}

function uidsOf(read: Reader, names: AttributeNames, field: AttributeName): readonly string[] {
  const values = read.texts(field);
  const uids = values.filter(isUid);
  if (uids.length < values.length) read.problems.push(`${names[field]}: a value is no uid`);
  if (uids.length > LIST_ENTRIES_MAX) read.problems.push(`${names[field]}: too many values`);
  return uids.slice(0, LIST_ENTRIES_MAX);
}

function audienceOf(read: Reader, field: AttributeName): Audience {
  // DIRECTORY.md calls them friends where it speaks of contact data.
  if (read.text(field).toLowerCase() === 'friends') return 'buddies';
  return read.choice(field, AUDIENCES, 'all');
}

/** Octets in LDAP: a stored hash is ASCII, a plain password may be any text. */
function passwordOf(attributes: Attributes, names: AttributeNames): string | null {
  const [value] = attributes.get(lowerCase(names).password) ?? [];
  if (value === undefined) return null;
  return typeof value === 'string' ? value : value.toString('utf8');
}

function hexOf(read: Reader, names: AttributeNames, field: AttributeName, length: number): string | null {
  const value = read.text(field).toLowerCase();
  if (value === '') return null;
  if (value.length === length && /^[0-9a-f]+$/.test(value)) return value;
  read.problems.push(`${names[field]} is no hash`);
  return null;
}

function firstText(attributes: Attributes, name: string): string {
  const value = attributes.get(name.toLowerCase())?.[0];
  return typeof value === 'string' ? value : '';
}
