import { describe, expect, it } from 'vitest';
import type { LdifRecord } from '../../src/directory/directory.ts';
import { formatLdif, isProblem, LINE_BYTES_MAX, parseLdif, RECORD_BYTES_MAX } from '../../src/directory/ldif.ts';
import type { LdifProblem } from '../../src/directory/ldif.ts';

type Item = LdifRecord | LdifProblem;

async function* chunksOf(input: string | Uint8Array, size = 7): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(input as string);
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

function parse(input: string | Uint8Array, size?: number): Promise<Item[]> {
  return collect(parseLdif(chunksOf(input, size)));
}

async function collect(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const add = (line: number, dn: string, attributes: Record<string, (string | Buffer)[]>): LdifRecord => ({
  line,
  dn,
  change: { type: 'add', attributes: new Map(Object.entries(attributes)) },
});

const messagesOf = (items: Item[]): string[] =>
  items.map((item) => (isProblem(item) ? `${item.line} ${item.dn ?? '-'} ${item.message}` : `ok ${item.dn}`));

describe('content records', () => {
  it('with version, comments (folded too), folded lines, base64, options, LF and CRLF', async () => {
    const text = [
      'version: 1',
      '# a comment',
      '  that is folded',
      'dn: uid=1,ou=users,',
      ' dc=x',
      'uid: 1',
      'CN;lang-de: Jo',
      ' hn',
      'cn:: SsO8cmdlbg==',
      'jpegPhoto;binary:: /9j/',
      'description:',
      '',
      '',
      'dn:: dWlkPTIsZGM9eA==',
      'sn:no space',
      'l: Köln',
      '',
    ];
    const expected = (): LdifRecord[] => [
      add(4, 'uid=1,ou=users,dc=x', {
        uid: ['1'],
        cn: ['John', 'Jürgen'],
        jpegphoto: [Buffer.from('/9j/', 'base64')],
        description: [''],
      }),
      add(14, 'uid=2,dc=x', { sn: ['no space'], l: ['Köln'] }),
    ];
    expect(await parse(text.join('\n'))).toEqual(expected());
    expect(await parse(text.join('\r\n'), 1)).toEqual(expected());
    expect(await parse(`\ufeff${text.join('\n')}`, 100_000)).toEqual(expected());
  });

  it('an empty file has none', async () => {
    expect(await parse('')).toEqual([]);
    expect(await parse('version: 1\n\n# nothing\n')).toEqual([]);
  });

  it('an entry of 5,000 attributes is taken', async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `attr${i}: value ${i}`);
    const [record] = await parse(`dn: uid=1\n${lines.join('\n')}\n`, 4_096);
    if (record === undefined || isProblem(record) || record.change.type !== 'add') throw new Error('no record');
    expect(record.change.attributes.size).toBe(5_000);
  });
});

describe('change records', () => {
  it('add, modify, delete, modrdn and moddn', async () => {
    const text = `dn: uid=1
control: 1.2.3 false: x
changetype: add
uid: 1

dn: uid=1
changetype: modify
add: mail
mail: a@x
mail: b@x
-
delete: l
-
replace: cn;lang-de
cn;lang-de: C
-
increment: age
age: 1
-

dn: uid=1
changetype: delete

dn: uid=1
changetype: modrdn
newrdn: uid=2
deleteoldrdn: 1

dn: uid=2
changetype: moddn
newrdn: uid=2
deleteoldrdn: 0
newsuperior: ou=b`;
    expect(await parse(text)).toEqual([
      add(1, 'uid=1', { uid: ['1'] }),
      {
        line: 6,
        dn: 'uid=1',
        change: {
          type: 'modify',
          modifications: [
            { operation: 'add', attribute: 'mail', values: ['a@x', 'b@x'] },
            { operation: 'delete', attribute: 'l', values: [] },
            { operation: 'replace', attribute: 'cn', values: ['C'] },
            { operation: 'increment', attribute: 'age', values: ['1'] },
          ],
        },
      },
      { line: 21, dn: 'uid=1', change: { type: 'delete' } },
      {
        line: 24,
        dn: 'uid=1',
        change: { type: 'modrdn', newRdn: 'uid=2', deleteOldRdn: true, newSuperior: null },
      },
      {
        line: 29,
        dn: 'uid=2',
        change: { type: 'modrdn', newRdn: 'uid=2', deleteOldRdn: false, newSuperior: 'ou=b' },
      },
    ]);
  });
});

describe('a bad record is named by its line, and the next one is read', () => {
  const next = '\n\ndn: uid=next\nuid: next\n';
  it.each<[string, string | Buffer, string]>([
    ['broken base64', 'dn: uid=1\nuid:: a$b=', '2 uid=1 broken base64'],
    ['unpadded base64', 'dn: uid=1\nuid:: YQ', '2 uid=1 broken base64'],
    ['a file:// value', 'dn: uid=1\nuid:< file:///etc/passwd', '2 uid=1 values from a URL (":<") are refused'],
    [
      'a wrong encoding (latin1)',
      Buffer.from('dn: uid=1\nl: K\xf6ln', 'latin1'),
      '2 uid=1 a value is not UTF-8; other bytes are written as base64',
    ],
    ['a NUL', 'dn: uid=1\nl: a\0b', '2 uid=1 a value holds a NUL or CR: not UTF-8, or not base64'],
    ['a line without colon', 'dn: uid=1\nuid: 1\nnonsense', '3 uid=1 a line has no ":"'],
    ['no dn', 'uid: 1', '1 - a record begins with "dn:"'],
    ['nothing but a dn', 'dn: uid=1', '1 uid=1 the record has neither attributes nor a change'],
    ['two records without a space', 'dn: uid=1\nuid: 1\ndn: uid=2', '3 uid=1 "dn:" in the middle of a record'],
    [
      'an unknown change',
      'dn: uid=1\nchangetype: x',
      '2 uid=1 changetype must be add, delete, modify, modrdn or moddn',
    ],
    [
      'a critical control',
      'dn: uid=1\ncontrol: 1.2.840.113556.1.4.805 true\nchangetype: delete',
      '2 uid=1 a critical control is not supported',
    ],
    [
      'a foreign value in a modification',
      'dn: uid=1\nchangetype: modify\nadd: l\nmail: x\n-',
      '4 uid=1 only values of "l" belong here',
    ],
    [
      'a rename without its fields',
      'dn: uid=1\nchangetype: modrdn\nnewrdn: uid=2',
      '3 uid=1 "deleteoldrdn:" is missing',
    ],
    ['a fold without a line', ' dn: uid=1', '1 - a folded line has no line before it'],
    ['another version', 'version: 2\ndn: uid=1\nuid: 1', '1 uid=1 only LDIF version 1 is known'],
  ])('%s', async (_name, text, message) => {
    const bytes = Buffer.concat([Buffer.from(text as string), Buffer.from(next)]);
    const [problem, ...rest] = messagesOf(await parse(bytes));
    expect(problem).toBe(message);
    expect(rest).toEqual(['ok uid=next']);
  });

  it('an endless line, without keeping it', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('dn: uid=1\nuid: ');
      const piece = Buffer.alloc(64 * 1024, 'x');
      for (let sent = 0; sent < 200 * 1024 * 1024; sent += piece.length) yield await Promise.resolve(piece);
      yield Buffer.from(next);
    }
    const before = process.memoryUsage().rss;
    let peak = 0;
    const items: Item[] = [];
    for await (const item of parseLdif(endless())) items.push(item);
    peak = Math.max(peak, process.memoryUsage().rss);
    expect(messagesOf(items)).toEqual([`2 uid=1 a line is longer than ${LINE_BYTES_MAX} bytes`, 'ok uid=next']);
    expect(peak - before).toBeLessThan(100 * 1024 * 1024);
  });

  it('an endlessly folded line and an endless record', async () => {
    const folded = `dn: uid=1\nuid: x${`\n ${'x'.repeat(999)}`.repeat(1_100)}${next}`;
    expect(messagesOf(await parse(folded, 65_536))).toEqual([
      expect.stringContaining(`uid=1 a line is longer than ${LINE_BYTES_MAX} bytes`),
      'ok uid=next',
    ]);
    const record = `dn: uid=1${`\nuid: ${'x'.repeat(9_999)}`.repeat(500)}${next}`;
    expect(messagesOf(await parse(record, 65_536))).toEqual([
      expect.stringContaining(`uid=1 a record is longer than ${RECORD_BYTES_MAX} bytes`),
      'ok uid=next',
    ]);
  });
});

describe('formatLdif', () => {
  it('folds at 76 and writes base64 where it is needed', () => {
    const text = formatLdif(
      add(1, 'uid=1', { a: [' x', 'x ', ':x', '<x', 'ü', '', 'y'.repeat(100), Buffer.from([255])] }),
    );
    expect(text).toBe(
      `dn: uid=1\na:: IHg=\na:: eCA=\na:: Ong=\na:: PHg=\na:: w7w=\na:\na: ${'y'.repeat(73)}\n ${'y'.repeat(27)}\na:: /w==\n\n`,
    );
  });
});
