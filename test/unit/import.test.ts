import { describe, expect, it } from 'vitest';
import { VserverError } from '../../src/base/errors.ts';
import { userDefaults, NOWHERE } from '../../src/base/model.ts';
import type { Applied, Entry, LdifRecord } from '../../src/directory/directory.ts';
import { exportLdif } from '../../src/directory/export.ts';
import { importLdif } from '../../src/directory/import.ts';
import type { ImportOptions, ImportProgress, ImportSource } from '../../src/directory/import.ts';

/** Remembers DNs only: enough to tell added from unchanged. */
function fakeDirectory(answer?: (record: LdifRecord) => Applied | undefined) {
  const dns = new Set<string>();
  const batches: number[] = [];
  let applying = 0;
  return {
    dns,
    batches,
    async apply(records: readonly LdifRecord[], stopAtFailure = false): Promise<Applied[]> {
      if (++applying > 1) throw new Error('two batches at once');
      await Promise.resolve();
      batches.push(records.length);
      const outcomes: Applied[] = [];
      for (const record of records) {
        const outcome: Applied = answer?.(record) ?? { outcome: dns.has(record.dn) ? 'unchanged' : 'added' };
        if (outcome.outcome === 'added') dns.add(record.dn);
        outcomes.push(outcome);
        if (stopAtFailure && outcome.outcome === 'failed') break;
      }
      applying--;
      return outcomes;
    },
    regions: () => Promise.resolve([{ name: 'china', countryCode: '86' }]),
    servers: () => Promise.resolve([]),
    variable: (name: string) => Promise.resolve(name === 'MAIN_URL' ? 'http://x/' : null),
    find(uid: string): Promise<Entry | null> {
      const present = dns.has(`uid=${uid},ou=users,dc=x`);
      return Promise.resolve(present ? { user: userDefaults(uid), location: NOWHERE, version: '' } : null);
    },
  };
}

function source(text: string, name = 'a.ldif'): ImportSource {
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < text.length; at += 1_000)
      yield await Promise.resolve(Buffer.from(text.slice(at, at + 1_000)));
  }
  return { name, stream: stream(), size: text.length };
}

const user = (uid: string | number): string => `dn: uid=${uid},ou=users,dc=x\nuid: ${uid}\n\n`;
const users = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => user(from + i)).join('');

function options(directory: ImportOptions['directory'], ...files: ImportSource[]): ImportOptions {
  let nowMs = 0;
  const clock = { now: () => (nowMs += 10) };
  const base = { dn: 'dc=x', others: 'taken' } as const;
  return { directory, base, files, onProblem: 'skip', dryRun: false, progress: () => undefined, clock };
}

describe('an import', () => {
  it('applies all files in order, in batches of 1000, one at a time; run again nothing changes', async () => {
    const directory = fakeDirectory();
    const report = await importLdif(options(directory, source(users(1, 2_500)), source(users(2_501, 2_600), 'b.ldif')));
    expect(report).toMatchObject({ counts: { added: 2_600, failed: 0 }, failures: [], plan: [], stopped: false });
    expect(directory.batches).toEqual([1_000, 1_000, 500, 100]);
    const again = await importLdif(options(directory, source(users(1, 2_600))));
    expect(again.counts).toMatchObject({ added: 0, unchanged: 2_600 });
  });

  it('skips a bad record and names it with file, line and dn', async () => {
    const directory = fakeDirectory((record) =>
      record.dn.startsWith('uid=3,') ? { outcome: 'failed', reason: 'refused' } : undefined,
    );
    const text = `${user(1)}dn: uid=2,ou=users,dc=x\nuid:: !!\n\n${users(3, 4)}`;
    const report = await importLdif(options(directory, source(text)));
    expect(report.counts).toMatchObject({ added: 2, failed: 2 });
    expect(report.failures).toEqual([
      { file: 'a.ldif', line: 5, dn: 'uid=2,ou=users,dc=x', reason: 'broken base64' },
      { file: 'a.ldif', line: 7, dn: 'uid=3,ou=users,dc=x', reason: 'refused' },
    ]);
  });

  it('told to stop, ends at the first bad record; everything before it is written', async () => {
    const directory = fakeDirectory();
    const text = `${users(1, 1_200)}dn: uid=x\nnonsense\n\n${users(2_000, 2_001)}`;
    const report = await importLdif({ ...options(directory, source(text), source(user(9_999))), onProblem: 'stop' });
    expect(report).toMatchObject({ stopped: true, counts: { added: 1_200, failed: 1 } });
    expect(directory.dns.size).toBe(1_200);
  });

  it('tells of records below another base DN, but not of what stands above the base', async () => {
    const dns = [
      'dc=x',
      'ou=users, DC=X',
      'dc=y',
      'uid=1,ou=users,dc=y',
      'uid=2,ou=users,dc=xx',
      'uid=3,ou=users,dc=x',
    ];
    const text = dns.map((dn) => `dn: ${dn}\ncn: a\n\n`).join('');
    const base = { dn: 'ou=users,dc=x', others: 'taken' } as const;
    const report = await importLdif({ ...options(fakeDirectory(), source(text)), base });
    expect(report.counts).toMatchObject({ added: 6 });
    expect(report.outside).toEqual({ records: 3, file: 'a.ldif', line: 7, dn: 'dc=y' });
    expect((await importLdif(options(fakeDirectory(), source(user(1))))).outside).toBeNull();
  });

  it('told to stop, reads no further when the directory refuses a record', async () => {
    const directory = fakeDirectory((record) =>
      record.dn.startsWith('uid=500,') ? { outcome: 'failed', reason: 'refused' } : undefined,
    );
    const report = await importLdif({ ...options(directory, source(users(1, 5_000))), onProblem: 'stop' });
    expect(report).toMatchObject({ stopped: true, counts: { added: 499, failed: 1 } });
    expect(directory.dns.size).toBe(499);
    expect(directory.batches).toEqual([1_000]);
  });

  it('says where it stopped when the directory is lost midway', async () => {
    const directory = fakeDirectory((record) => {
      if (record.dn.startsWith('uid=1500,')) throw new VserverError('DIRECTORY_UNAVAILABLE');
      return undefined;
    });
    const running = importLdif(options(directory, source(users(1, 5_000))));
    await expect(running).rejects.toMatchObject({
      code: 'DIRECTORY_UNAVAILABLE',
      message: 'directory unreachable; stopped in a.ldif, lines 3001 to 5998; the import can be run again',
    });
  });

  it('reports progress at most twice a second, and at the end', async () => {
    const reports: ImportProgress[] = [];
    const text = users(1, 3_000);
    const base = options(fakeDirectory(), source(text));
    await importLdif({ ...base, progress: (progress) => reports.push(progress) });
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({ records: 3_000, bytes: text.length, bytesTotal: text.length });
    let nowMs = 0;
    const slow = { ...options(fakeDirectory(), source(text)), clock: { now: () => (nowMs += 500) } };
    await importLdif({ ...slow, progress: (progress) => reports.push(progress) });
    expect(reports.slice(1).map(({ records }) => records)).toEqual([1_000, 2_000, 3_000, 3_000]);
  });
});

describe('a dry run', () => {
  it('checks and plans without writing', async () => {
    const directory = fakeDirectory();
    directory.dns.add('uid=1,ou=users,dc=x');
    const bad = 'dn: uid=3,ou=users,dc=x\nuid: a:b\n\n';
    const text = `${users(1, 2)}${bad}dn: uid=1,ou=users,dc=x\nchangetype: modify\n\ndn: uid=1,ou=users,dc=x\nchangetype: delete\n\n`;
    const report = await importLdif({ ...options(directory, source(text)), dryRun: true });
    expect(report.counts).toMatchObject({ unchanged: 1, added: 1, failed: 1, removed: 1, changed: 1 });
    expect(report.plan.slice(0, 2)).toEqual(['unchanged uid=1,ou=users,dc=x', 'added uid=2,ou=users,dc=x']);
    expect(report.plan[2]).toContain('failed uid=3,ou=users,dc=x: uid');
    expect(directory.batches).toEqual([]);
  });

  it('stops where the import would, and leaves out what the directory has no place for', async () => {
    const text = `${user(1)}dn: uid=2,ou=users,dc=y\nuid: 2\n\ndn: uid=3,ou=users,dc=x\nuid: a:b\n\n${user(4)}`;
    const base = { dn: 'dc=x', others: 'left out' } as const;
    const given = { ...options(fakeDirectory(), source(text)), base, dryRun: true, onProblem: 'stop' } as const;
    const report = await importLdif(given);
    expect(report).toMatchObject({ stopped: true, outside: { records: 1, line: 4 } });
    expect(report.counts).toMatchObject({ added: 1, ignored: 1, failed: 1 });
  });

  /** One change record a line. */
  async function planOf(...changes: readonly [dn: string, ...lines: string[]][]): Promise<readonly string[]> {
    const directory = fakeDirectory();
    directory.dns.add('uid=1,ou=users,dc=x');
    const text = changes.map(([dn, ...lines]) => [`dn: ${dn}`, ...lines].join('\n')).join('\n\n');
    const report = await importLdif({ ...options(directory, source(`${text}\n`)), dryRun: true });
    expect(directory.batches).toEqual([]);
    return report.plan.map((line) => line.replace(/,ou=\w+,dc=x/, ''));
  }

  it('says of who is not there that nothing can be changed or removed', async () => {
    const absent = 'uid=9,ou=users,dc=x';
    expect(
      await planOf(
        [absent, 'changetype: delete'],
        [absent, 'changetype: modify', 'replace: mail', 'mail: a@x', '-'],
        [absent, 'changetype: modrdn', 'newrdn: uid=8', 'deleteoldrdn: 1'],
        ['cn=NONE,ou=config,dc=x', 'changetype: delete'],
      ),
    ).toEqual([...Array<string>(3).fill('failed uid=9: no such entry'), 'failed cn=NONE: no such entry']);
  });

  it('takes into account what earlier records make, rename and remove', async () => {
    const [one, two] = ['uid=1,ou=users,dc=x', 'uid=2,ou=users,dc=x'];
    const remove = 'changetype: delete';
    expect(
      await planOf(
        [two, 'uid: 2'],
        [two, 'uid: 2'],
        [two, 'changetype: modify', 'replace: mail', 'mail: a@x', '-'],
        [two, 'changetype: modrdn', 'newrdn: uid=1', 'deleteoldrdn: 1'],
        [two, 'changetype: modrdn', 'newrdn: uid=3', 'deleteoldrdn: 1'],
        [two, remove],
        [one, remove],
        [one, remove],
        [one, 'uid: 1'],
      ),
    ).toEqual([
      'added uid=2',
      'unchanged uid=2',
      'changed uid=2',
      'failed uid=2: the new uid is taken',
      'renamed uid=2',
      'failed uid=2: no such entry',
      'removed uid=1',
      'failed uid=1: no such entry',
      'added uid=1',
    ]);
  });

  it('checks a change against the record of the directory', async () => {
    const one = 'uid=1,ou=users,dc=x';
    expect(
      await planOf(
        [one, 'changetype: modify', 'delete: mail', '-'],
        [one, 'changetype: modify', 'replace: vsAge', 'vsAge: many', '-'],
        [one, 'changetype: modify', 'replace: vsAge', 'vsAge: 30', '-'],
      ),
    ).toEqual(['failed uid=1: noSuchAttribute: mail', expect.stringContaining('failed uid=1: vsAge'), 'changed uid=1']);
  });

  it('knows regions and variables that are there', async () => {
    expect(
      await planOf(
        ['ou=china,ou=users,dc=x', 'ou: china', 'countryCode: 86'],
        ['uid=5,ou=usa,ou=users,dc=x', 'uid: 5'],
        ['uid=5,ou=china,ou=users,dc=x', 'uid: 5'],
        ['ou=usa,ou=users,dc=x', 'ou: usa', 'countryCode: 1'],
        ['cn=MAIN_URL,ou=config,dc=x', 'changetype: delete'],
        ['cn=MAIN_URL,ou=config,dc=x', 'cn: MAIN_URL', 'vsValue: y'],
      ),
    ).toEqual([
      'unchanged ou=china',
      expect.stringContaining('added uid=5'),
      expect.stringContaining('the uid is taken in another region'),
      'changed ou=usa',
      'removed cn=MAIN_URL',
      'added cn=MAIN_URL',
    ]);
  });
});

describe('an export', () => {
  it('begins with the version, waits for the writer, and can be imported', async () => {
    async function* entries(): AsyncGenerator<LdifRecord> {
      for (let uid = 1; uid <= 3_000; uid++) {
        const attributes = new Map([['uid', [String(uid)]]]);
        yield await Promise.resolve({ line: 0, dn: `uid=${uid},ou=users,dc=x`, change: { type: 'add', attributes } });
      }
    }
    const pieces: string[] = [];
    let busy = false;
    const count = await exportLdif({ entries }, async (text) => {
      expect(busy).toBe(false);
      busy = true;
      await Promise.resolve();
      pieces.push(text);
      busy = false;
    });
    expect(count).toBe(3_000);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces[0]?.startsWith('version: 1\n\ndn: uid=1,ou=users,dc=x\nuid: 1\n\n')).toBe(true);
    const report = await importLdif(options(fakeDirectory(), source(pieces.join(''))));
    expect(report.counts).toMatchObject({ added: 3_000, failed: 0 });
  });
});
