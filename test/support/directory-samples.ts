/** Users, places and servers that the directory contract writes and reads. */
import { expect } from 'vitest';
import { userDefaults } from '../../src/base/model.ts';
import type { Location, ServerRecord, User } from '../../src/base/model.ts';
import type { Directory, Query } from '../../src/directory/directory.ts';

export const CONTRACT_BASE_DN = 'dc=netbbq,dc=com';

/** A user with something other than the default in every field. */
export function fullUser(uid: string): User {
  return {
    ...userDefaults(uid),
    region: 'china',
    countryCode: '86',
    secret: {
      password: '{SSHA}aGVsbG8=',
      ha1Md5: '0123456789abcdef'.repeat(2),
      ha1Sha256: '0123456789abcdef'.repeat(4),
    },
    basic: {
      alias: 'Zoë 王小明 O\'Neil "Z"',
      avatar: 'http://example.com/a.png',
      age: 33,
      gender: 'female',
      country: 'China',
      state: 'Zhejiang',
      city: '杭州',
    },
    contact: {
      telephones: ['+86 571 1', '+86 571 2'],
      mails: ['zoe@example.com', 'z@example.org'],
      visibleTo: 'buddies',
    },
    service: {
      enabled: false,
      expiresAt: 1_900_000_000_000,
      mayCallOut: false,
      mayBeCalledBy: 'buddies',
      devicesMax: 7,
      privacy: 'none',
    },
    forwarding: {
      always: '10000001',
      busy: 'sip:a@example.com',
      noAnswer: '+861',
      noAnswerSeconds: 45,
      unreachable: '10000002',
    },
    lists: { buddies: ['10000001', '10000002'], blocked: ['10000003'], asked: ['10000004'], asking: ['10000005'] },
    voip: [
      {
        type: 'H323',
        enabled: false,
        servers: '10.0.0.1;10.0.0.2:1720',
        e164: '8657112345',
        outbound: '0',
        property: 'p="1"; \\ ü',
        ttl: '60',
        password: 'pw;1',
      },
      { type: 'SIP', enabled: true, servers: '', e164: '', outbound: '', property: '', ttl: '', password: '' },
    ],
    xmlext: '<a xmlns="urn:x" b="1">\n  <c>ü &amp; d</c>\n</a>',
  };
}

/** LDAP keeps the values of an attribute in no order. */
export function unordered(user: User): User {
  const sorted = (texts: readonly string[]): string[] => [...texts].sort();
  const { contact, lists } = user;
  return {
    ...user,
    contact: { ...contact, telephones: sorted(contact.telephones), mails: sorted(contact.mails) },
    lists: {
      buddies: sorted(lists.buddies),
      blocked: sorted(lists.blocked),
      asked: sorted(lists.asked),
      asking: sorted(lists.asking),
    },
  };
}

export async function userOf(directory: Directory, uid: string): Promise<User | undefined> {
  return (await directory.find(uid))?.user;
}

export function online(epoch: number, server = 'vserver1'): Location {
  return {
    server: { name: server, address: { host: '210.22.176.197', port: 4321 } },
    network: 'lan',
    wan: { host: '2001:db8::1', port: 5000 },
    local: { host: '192.168.0.7', port: 5001 },
    loginAt: 1_790_000_000_123,
    logoutAt: null,
    hidden: false,
    epoch,
  };
}

export function serverRecord(name: string): ServerRecord {
  return {
    name,
    udp: { host: '210.22.176.197', port: 4321 },
    http: 'http://210.22.176.197:8080',
    sip: { host: '2001:db8::2', port: 5060 },
    state: 'draining',
    users: 12,
    usersMax: 1000,
    startedAt: 1_790_000_000_123,
    seenAt: 1_790_000_005_456,
    version: '0.1.0',
  };
}

export async function allPages(directory: Directory, query: Query): Promise<string[][]> {
  const pages: string[][] = [];
  let after: string | null = null;
  do {
    const page = await directory.search(after === null ? query : { ...query, after });
    pages.push(page.users.map((user) => user.uid));
    after = page.next;
  } while (after !== null && pages.length < 100);
  return pages;
}

export async function make(directory: Directory, uid: string, fields: Partial<User> = {}): Promise<User> {
  const user = { ...userDefaults(uid), ...fields };
  expect(await directory.create(user)).toBe('created');
  return user;
}
