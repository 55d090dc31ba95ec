/** What src/directory/ldap-messages.ts writes and reads by itself is what ldapts writes and reads. */
import fc from 'fast-check';
import { AddRequest, Attribute, BerWriter, Change, MessageParser, ModifyRequest, SearchEntry } from 'ldapts';
import { describe, expect, it } from 'vitest';
import { enter, messageEnd, readInteger } from '../../src/directory/ldap-ber.ts';
import { addRequest, modifyRequest, readEntry } from '../../src/directory/ldap-messages.ts';
import type { Found } from '../../src/directory/ldap-messages.ts';

const id = fc.oneof(fc.nat({ max: 2 ** 31 - 1 }), fc.constantFrom(0, 127, 128, 255, 256, 32_767, 32_768, 2 ** 31 - 1));
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.string({ minLength: 100, maxLength: 300 }));
const type = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9-]{0,20}$/);
const values = fc.oneof(
  fc.array(text, { maxLength: 4 }),
  fc.array(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 3 },
  ),
);
const long = fc.integer({ min: 20_000, max: 70_000 }).map((length) => ['ä'.repeat(length)]);

describe('requests', () => {
  const operation = fc.constantFrom('add' as const, 'delete' as const, 'replace' as const);

  it('to modify are those of ldapts, byte for byte', () => {
    const changes = fc.array(fc.record({ operation, type, values: fc.oneof(values, long) }), { maxLength: 12 });
    fc.assert(
      fc.property(id, text, changes, (messageId, dn, all) => {
        const slowly = all.map((one) => new Change({ operation: one.operation, modification: new Attribute(one) }));
        const expected = new ModifyRequest({ messageId, dn, changes: slowly }).write();
        expect(modifyRequest(messageId, dn, all).equals(expected)).toBe(true);
      }),
    );
  });

  it('to add are those of ldapts, byte for byte', () => {
    const attributes = fc.uniqueArray(fc.tuple(type, values), { maxLength: 12, selector: ([name]) => name });
    fc.assert(
      fc.property(id, text, attributes, (messageId, dn, all) => {
        const slowly = all.map(([name, of]) => new Attribute({ type: name, values: of }));
        const expected = new AddRequest({ messageId, dn, attributes: slowly }).write();
        expect(addRequest(messageId, dn, new Map(all)).equals(expected)).toBe(true);
      }),
    );
  });
});

/** A message with a SearchResultEntry (RFC 4511 section 4.5.2). */
function entryBytes(dn: string, attributes: readonly (readonly [string, readonly (string | Buffer)[]])[]): Buffer {
  const message = new BerWriter();
  message.startSequence();
  message.writeInt(7);
  message.startSequence(0x64);
  message.writeString(dn);
  message.startSequence();
  for (const [name, of] of attributes) {
    new Attribute({ type: name, values: of.map((value) => Buffer.from(value as string)) }).write(message);
  }
  message.endSequence();
  message.endSequence();
  message.endSequence();
  return Buffer.from(message.buffer);
}

/** By ldapts, with its names, and without the names that we leave out. */
function readSlowly(message: Buffer): Found {
  let entry: SearchEntry | undefined;
  const parser = new MessageParser();
  parser.on('message', (read) => {
    if (read instanceof SearchEntry) entry = read;
  });
  parser.read(message, new Map());
  const attributes = new Map<string, (string | Buffer)[]>();
  for (const { type: name, parsedBuffers } of entry?.attributes ?? []) {
    const key = (name.split(';')[0] ?? '').toLowerCase();
    const read = parsedBuffers.map(decode);
    if (read.length > 0) attributes.set(key, [...(attributes.get(key) ?? []), ...read]);
  }
  return { dn: entry?.name ?? '', attributes };
}

function decode(value: Buffer): string | Buffer {
  const decoded = value.toString('utf8');
  return Buffer.from(decoded).equals(value) ? decoded : value;
}

describe('readEntry', () => {
  const named = fc.oneof(type, fc.constantFrom('cn;lang-de', 'CN', 'userCertificate;binary'));
  const entry = fc.tuple(text, fc.array(fc.tuple(named, fc.oneof(values, long)), { maxLength: 12 }));
  const start = (message: Buffer): number => {
    const cursor = { bytes: message, at: 0 };
    enter(cursor, 0x30, message.length);
    readInteger(cursor, 0x02, message.length);
    enter(cursor, 0x64, message.length);
    return cursor.at;
  };
  const read = (message: Buffer): Found => readEntry({ bytes: message, at: start(message) }, message.length);

  it('reads what ldapts reads; values that are no UTF-8 are bytes', () => {
    fc.assert(
      fc.property(entry, ([dn, attributes]) => {
        const message = entryBytes(dn, attributes);
        expect(read(message)).toEqual(readSlowly(message));
      }),
    );
  });

  it('takes attributes together that differ in their options or in case', () => {
    const message = entryBytes('cn=a', [
      ['cn', ['a']],
      ['CN;lang-de', ['b', 'c']],
      ['sn', []],
    ]);
    expect(read(message)).toEqual({ dn: 'cn=a', attributes: new Map([['cn', ['a', 'b', 'c']]]) });
  });

  it('refuses or reads whatever else comes, and never reads behind its end', () => {
    const message = entryBytes('uid=1,dc=x', [
      ['uid', ['1']],
      ['cn', ['One', 'Two']],
    ]);
    fc.assert(
      fc.property(fc.nat({ max: message.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const broken = Buffer.concat([message, Buffer.from('SECRET')]);
        broken[at] = byte;
        let found: Found | null = null;
        try {
          found = readEntry({ bytes: broken, at: start(message) }, message.length);
        } catch (error) {
          expect(error).toMatchObject({ message: 'what the server sent is no LDAP' });
        }
        expect(JSON.stringify([found?.dn, ...(found?.attributes ?? [])])).not.toContain('SECRET');
      }),
    );
  });
});

describe('messageEnd', () => {
  const message = entryBytes('uid=1,dc=x', [['cn', ['x'.repeat(200)]]]);

  it('tells where a message ends as soon as all of it is there', () => {
    for (let length = 0; length < message.length; length++) {
      expect(messageEnd(message.subarray(0, length), 0, 1_000)).toBe(-1);
    }
    expect(messageEnd(message, 0, 1_000)).toBe(message.length);
    expect(messageEnd(Buffer.concat([message, message]), message.length, 1_000)).toBe(2 * message.length);
  });

  it.each([
    ['another tag', Buffer.from('HTTP/1.1 400')],
    ['an indefinite length', Buffer.from([0x30, 0x80, 0, 0])],
    ['a length of nine bytes', Buffer.from([0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1])],
    ['a message that is too long', Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff])],
  ])('refuses %s', (_, bytes) => {
    expect(() => messageEnd(bytes, 0, 1_000)).toThrow();
  });
});
