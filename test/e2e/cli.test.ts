/** The command line as people use it: the built command in processes of its own. */
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CERTIFICATES } from '../support/certificates.ts';
import { answerOf, ensureBuilt, errorOf, newPlace } from './support-cli.ts';
import type { Place, Running } from './support-cli.ts';

const SAMPLE = 'ldif/sample.ldif';

beforeAll(ensureBuilt);

describe('with a node that runs', () => {
  const place = newPlace();
  let node: Running;
  let screen = '';
  const printed = (pattern: RegExp): string => pattern.exec(screen)?.[1] ?? '';

  beforeAll(async () => {
    node = place.begin(['start']);
    screen = await node.seen('stdout', /Ctrl-C stops it/);
  });
  afterAll(() => place.clear());

  test('start prints where it listens, the sample user and three commands', () => {
    expect(screen).toMatch(/UDP +127\.0\.0\.1:\d+/);
    expect(screen).toMatch(/HTTP +http:\/\/127\.0\.0\.1:\d+/);
    expect(screen).toMatch(/user 10017676, password secret/);
    expect(screen.match(/^ {2}(?:node|echo|curl) .*$/gm)).toHaveLength(3);
  });

  test('the printed login works (the password comes from stdin where there is no terminal)', async () => {
    const command = `${printed(/^ {2}(node .* login 10017676 .*)$/m)} --password-stdin`;
    const { code, stdout, stderr } = await place.shell(command, 'secret\nstatus busy lunch\nlocate 10017676\nquit\n');
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('Logged in at') as string });
    expect(stdout).toMatch(/User 10017676\n {2}alias: Li Wei\n {2}status: busy\n {2}note: lunch/);
  });

  test('the printed Locate works', async () => {
    const { code, stdout } = await place.shell(printed(/^ {2}(echo .*)$/m));
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Offline 10017676\n/) as string });
  });

  test('the printed CONFIG works', async () => {
    const [, credentials = '', url = ''] = /curl -u (\S+) (\S+)/.exec(screen) ?? [];
    const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
    const answer = await fetch(url, { headers: { authorization } });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('<PRIVATE ID="10017676">');
  });

  test('a second node on the same data folder is refused', async () => {
    const { code, stderr } = await place.run(['start']);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('runs on') as string });
  });

  test('a client that is logged in stands among the sessions, and locate explains how it was found', async () => {
    const server = ['--server', printed(/UDP +(\S+)/), '--alt-port', printed(/firewall test \S+:(\d+)/)];
    const client = place.begin(['client', 'login', '10043939', ...server, '--password-stdin']);
    client.child.stdin?.write('secret\n');
    await client.seen('stderr', /Logged in at/);
    const sessions = answerOf(await place.run(['sessions', '--json'])) as { sessions: { uid: string }[] };
    expect(sessions.sessions.map(({ uid }) => uid)).toEqual(['10043939']);
    const found = answerOf(await place.run(['locate', '08610043939', '--explain', '--as', '10017676', '--json']));
    expect(found).toMatchObject({ uid: '10043939', status: 'online' });
    expect(found['steps']).toContain('directory: the number 08610043939 is the uid 10043939');
    client.child.stdin?.end('quit\n');
    expect((await client.finished).code).toBe(0);
    expect(answerOf(await place.run(['sessions', '10043939', '--json']))).toEqual({
      sessions: [],
      next: null,
      server: null,
    });
  });

  test('a wrong password is refused with exit code 5', async () => {
    const login = ['client', 'login', '10017676', '--server', printed(/UDP +(\S+)/), '--password-stdin', '--json'];
    const refused = await place.run(login, { input: 'wrong\n' });
    expect(errorOf(refused)).toMatchObject({ exitCode: 5 });
    expect(refused.code).toBe(5);
  });

  test('users are made, shown, changed, given a password, listed and removed', async () => {
    const fields = [
      'alias=Zoe',
      'devicesMax=2',
      '--region',
      'usa',
      '--telephone',
      '+1 2',
      '--password-stdin',
      '--json',
    ];
    const made = await place.run(['user', 'add', '20000001', ...fields], { input: 'first password\n' });
    expect(answerOf(made)).toMatchObject({
      basic: { alias: 'Zoe' },
      service: { devicesMax: 2 },
      contact: { telephones: ['+1 2'] },
      hasPassword: true,
      hasVerifiers: true,
    });
    expect(made.stdout + made.stderr).not.toContain('first password');
    const again = await place.run(['user', 'add', '20000001', '--no-password', '--json']);
    expect(errorOf(again)).toMatchObject({ code: 'CONFLICT', exitCode: 1 });
    const changed = await place.run(['user', 'set', '20000001', 'buddies=10017676,10043939', 'city=Rome', '--json']);
    expect(answerOf(changed)).toMatchObject({
      lists: { buddies: ['10017676', '10043939'] },
      basic: { alias: 'Zoe', city: 'Rome' },
    });
    await place.run(['user', 'passwd', '20000001', '--password-stdin'], { input: 'second\n' });
    const client = ['client', 'login', '20000001', '--server', printed(/UDP +(\S+)/), '--password-stdin', '--json'];
    const { results } = answerOf(
      await place.run([...client, '--do', 'servers', '--do', 'locate 10017676'], { input: 'second\n' }),
    ) as { results: unknown[] };
    expect(results).toMatchObject([{ servers: [expect.any(String)] }, { answer: 'Offline', uid: '10017676' }]);
    const page = answerOf(await place.run(['user', 'list', 'Zo', '--by', 'alias', '--json'])) as {
      users: { uid: string }[];
    };
    expect(page.users.map(({ uid }) => uid)).toEqual(['20000001']);
    expect((await place.run(['user', 'del', '20000001'])).code).toBe(0);
    const gone = await place.run(['user', 'show', '20000001', '--json']);
    expect({ code: gone.code, error: errorOf(gone) }).toMatchObject({ code: 3, error: { code: 'NO_SUCH_USER' } });
  });

  test('check finds the node and nothing wrong; a token that others can read is an error with its remedy', async () => {
    const good = await place.run(['check', '--json']);
    expect(good.code).toBe(0);
    expect(answerOf(good)).toMatchObject({ errors: 0 });
    const token = join(place.data, 'admin-token');
    chmodSync(token, 0o644);
    const bad = await place.run(['check']);
    chmodSync(token, 0o600);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toContain(`chmod 600 ${token}`);
  });

  test('stop waits until the node is gone; started again, it has its data', async () => {
    await place.run(['user', 'set', '10017676', 'city=Tianjin']);
    const stopped = await place.run(['stop', '--json']);
    expect(answerOf(stopped)).toEqual({ stopped: node.child.pid, logout: false });
    expect((await node.finished).code).toBe(0);
    expect(existsSync(join(place.data, 'node.json'))).toBe(false);
    const none = await place.run(['stop', '--json']);
    expect({ code: none.code, error: errorOf(none) }).toMatchObject({ code: 4, error: { code: 'UNREACHABLE' } });

    node = place.begin(['start', '--json']);
    const about = JSON.parse(await node.seen('stdout', /^\}$/m)) as { try: unknown[]; sampleUser: unknown };
    expect(about).toMatchObject({ sampleUser: { uid: '10017676', password: 'secret' } });
    expect(about.try).toHaveLength(3);
    expect(answerOf(await place.run(['user', 'show', '10017676', '--json']))).toMatchObject({
      basic: { city: 'Tianjin' },
    });
    node.child.kill('SIGINT');
    expect((await node.finished).code).toBe(0);
  });
});

test('a node is found by its run file, whatever listeners its settings gave it; a token of theirs is asked for', async () => {
  const place = newPlace();
  const [cert, key] = [join(place.data, 'cert.pem'), join(place.data, 'key.pem')];
  writeFileSync(cert, CERTIFICATES.one.cert);
  writeFileSync(key, CERTIFICATES.one.key);
  const open = { VSERVER_LISTEN: '0.0.0.0', VSERVER_ADVERTISE: '192.0.2.1', VSERVER_SIP_TLS_PORT: '0' };
  const secured = { ...open, VSERVER_HTTP_CERT: cert, VSERVER_HTTP_KEY: key };
  try {
    const node = place.begin(['start'], secured);
    await node.seen('stdout', /Ctrl-C stops it/);
    expect(answerOf(await place.run(['sessions', '--json']))).toMatchObject({ sessions: [] });
    expect((await place.run(['stop'])).code).toBe(0);

    const token = { VSERVER_ADMIN_TOKEN: 'a-token-of-the-settings' };
    const again = place.begin(['start'], { ...secured, ...token });
    await again.seen('stdout', /Ctrl-C stops it/);
    const refused = await place.run(['sessions']);
    expect(refused.code).toBe(5);
    expect(refused.stderr).toContain('VSERVER_ADMIN_TOKEN');
    expect((await place.run(['sessions'], { env: token })).code).toBe(0);
    again.child.kill('SIGSTOP');
    const run = join(place.data, 'node.json');
    const stored = readFileSync(run, 'utf8');
    writeFileSync(run, stored.replace(/("local":"https:[^"]*:)\d+"/, '$11"'));
    const silent = await place.run(['sessions'], { env: token });
    expect(silent.code).toBe(4);
    expect(silent.stderr).toContain(`the node of ${run} (process ${again.child.pid}) does not answer at 127.0.0.1:1`);
  } finally {
    await place.clear();
  }
});

describe('without a node', () => {
  let place: Place;
  beforeAll(async () => {
    place = newPlace();
    const first = await place.run(['import', SAMPLE, '--json']);
    expect(answerOf(first)).toMatchObject({ counts: { failed: 0 }, stopped: false });
  });
  afterAll(() => place.clear());

  test('an import can be run again, and a dry run writes nothing', async () => {
    const again = answerOf(await place.run(['import', SAMPLE, '--json'])) as { counts: Record<string, number> };
    expect(again.counts['added']).toBe(0);
    const ldif = 'dn: uid=x1,ou=usa,ou=users,dc=netbbq,dc=com\nobjectClass: inetOrgPerson\nuid: x1\n';
    const dry = await place.run(['import', '-', '--dry-run'], { input: ldif });
    expect(dry.stdout).toMatch(/^added uid=x1,.*\nDry run, nothing written: 1 added\n$/);
    expect((await place.run(['user', 'show', 'x1'])).code).toBe(3);
  });

  test('a bad record is named with file and line, and stops the import or is skipped', async () => {
    const file = join(place.data, 'bad.ldif');
    writeFileSync(
      file,
      'dn: uid=x2,ou=users,dc=netbbq,dc=com\nbroken\n\ndn: uid=x3,ou=usa,ou=users,dc=netbbq,dc=com\nuid: x3\n',
    );
    const stopped = await place.run(['import', file]);
    expect(stopped.code).toBe(1);
    expect(stopped.stderr).toContain(`${file}:2: `);
    expect((await place.run(['user', 'show', 'x3'])).code).toBe(3);
    const skipped = await place.run(['import', file, '--on-error', 'skip', '--json']);
    expect(answerOf(skipped)).toMatchObject({ counts: { added: 1, failed: 1 } });
    expect((await place.run(['user', 'del', 'x3'])).code).toBe(0);
  });

  test('an import of another base DN is taken, but not in silence', async () => {
    const ldif = 'dn: uid=x4,ou=usa,ou=users,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: x4\n';
    const taken = await place.run(['import', '-'], { input: ldif });
    expect(taken.stdout).toBe('1 added\n');
    expect(taken.stderr).toContain('1 records are not below the base DN dc=netbbq,dc=com (the first: stdin:1, uid=x4,');
    expect(taken.stderr).toContain('VSERVER_BASE_DN');
    expect((await place.run(['user', 'del', 'x4'])).code).toBe(0);
  });

  test('an export, with mode 0600, fills another directory with the same users', async () => {
    const file = join(place.data, 'all.ldif');
    expect((await place.run(['export', file])).code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const other = newPlace();
    try {
      await other.run(['import', file]);
      const uids = async (at: Place): Promise<unknown> => answerOf(await at.run(['user', 'list', '--json']))['users'];
      expect(await uids(other)).toEqual(await uids(place));
      const { stdout } = await other.run(['export']);
      expect(stdout).toBe(readFileSync(file, 'utf8'));
    } finally {
      await other.clear();
    }
  });

  test('locate, config and servers answer from the directory, without a secret', async () => {
    const located = await place.run(['locate', '10017676', '--explain', '--json']);
    expect(answerOf(located)).toMatchObject({ uid: '10017676', status: 'offline' });
    expect(located.stderr).toContain('No node runs here');
    const config = await place.run(['config', '10017676']);
    expect(config.stdout).toContain('<PRIVATE ID="10017676">');
    expect(config.stdout).not.toContain('sip-secret');
    expect(answerOf(await place.run(['servers', '--json']))).toEqual({ servers: [] });
    expect((await place.run(['sessions'])).code).toBe(4);
  });

  test('settings show where a value comes from, and no secret', async () => {
    const env = { VSERVER_ADMIN_TOKEN: 'a-token-that-nobody-sees' };
    const shown = await place.run(['settings', '--json'], { env });
    expect(shown.stdout).not.toContain(env.VSERVER_ADMIN_TOKEN);
    const { settings } = answerOf(shown) as { settings: Record<string, string>[] };
    expect(settings).toContainEqual(
      expect.objectContaining({ env: 'VSERVER_ADMIN_TOKEN', value: '(set)', source: 'environment' }),
    );
    expect(settings).toContainEqual(
      expect.objectContaining({ env: 'VSERVER_HEARTBEAT', value: '30', source: 'default' }),
    );
  });

  test('settings show all, also where one is wrong, which is marked and is exit code 1', async () => {
    const secret = 'too short';
    const directory = 'mysql://vserver:geheim123@db/vserver\n';
    const env = {
      ...{ VSERVER_EXPIRES: '5', VSERVER_IO: 'fast', VSERVER_NOMAE: 'x' },
      ...{ VSERVER_ADMIN_TOKEN: secret, VSERVER_DIRECTORY: directory },
    };
    const shown = await place.run(['settings', '--json'], { env });
    expect(shown.code).toBe(1);
    expect(shown.stdout).not.toContain(secret);
    expect(shown.stdout + shown.stderr).not.toContain('geheim123');
    const { settings, problems } = answerOf(shown) as { settings: Record<string, string>[]; problems: string[] };
    expect(settings.length).toBeGreaterThan(40);
    const row = (name: string) => settings.find(({ env: variable }) => variable === name);
    expect(row('VSERVER_EXPIRES')).toMatchObject({
      value: '5',
      problem: expect.stringContaining('more than') as string,
    });
    expect(row('VSERVER_IO')).toMatchObject({ value: 'fast', source: 'environment' });
    expect(row('VSERVER_IO')?.['problem']).toContain('must be one of');
    expect(row('VSERVER_HEARTBEAT')).not.toHaveProperty('problem');
    expect(problems).toContainEqual(expect.stringContaining('did you mean VSERVER_NAME?'));
    const text = await place.run(['settings'], { env });
    expect(text.stdout).toMatch(/^io +fast +environment +VSERVER_IO +WRONG: VSERVER_IO must be one of/m);
  });

  test('wrong usage and wrong settings are exit code 2, and name what is wrong', async () => {
    const option = await place.run(['user', 'list', '--nonsense', '--json']);
    expect({ code: option.code, error: errorOf(option) }).toMatchObject({ code: 2, error: { code: 'USAGE' } });
    const field = await place.run(['user', 'set', '10017676', 'nonsense=1']);
    expect({ code: field.code, stderr: field.stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nonsense') as string,
    });
    const env = { VSERVER_EXPIRES: '5' };
    const settings = await place.run(['user', 'list', '--json'], { env });
    expect(settings.code).toBe(2);
    expect(errorOf(settings).message).toContain('VSERVER_EXPIRES');
    const check = await place.run(['check', '--json'], { env });
    expect(check.code).toBe(1);
    expect(answerOf(check)).toMatchObject({ errors: 1, findings: [{ level: 'error', subject: 'settings' }] });
  });

  test('check looks at the ports, that of SIP over TLS too where a certificate is set', async () => {
    const [cert, key] = [join(place.data, 'cert.pem'), join(place.data, 'key.pem')];
    writeFileSync(cert, CERTIFICATES.one.cert);
    writeFileSync(key, CERTIFICATES.one.key);
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const env = { VSERVER_SIP_TLS_PORT: String(port) };
    const subject = `TLS port ${port}`;
    const open = await place.run(['check', '--json'], { env });
    expect(open.stdout).not.toContain(subject);
    const secured = await place.run(['check', '--json'], {
      env: { ...env, VSERVER_HTTP_CERT: cert, VSERVER_HTTP_KEY: key },
    });
    other.close();
    expect(answerOf(secured)['findings']).toContainEqual({
      level: 'error',
      subject,
      message: 'taken by another program',
      remedy: 'end that program, or set VSERVER_SIP_TLS_PORT',
    });
  });

  test('in another folder, what only reads or changes makes nothing, and says what it looked for', async () => {
    const other = newPlace();
    rmSync(other.data, { recursive: true });
    const commands = ['user list', 'user show 1', 'user set 1 age=1', 'user del 1', 'locate 1', 'config 1', 'servers'];
    const runs = [...commands, 'export', 'sessions', 'check'].map((line) => other.run(line.split(' ')));
    for (const { code, stderr } of (await Promise.all(runs)).slice(0, -1)) {
      expect(code).toBe(4);
      expect(stderr).toContain(`looked for ${other.data}/`);
      expect(stderr).toContain('VSERVER_DATA');
    }
    const dry = await other.run(['import', SAMPLE, '--dry-run']);
    expect(dry.stdout).toContain('Dry run, nothing written: ');
    expect(existsSync(other.data)).toBe(false);
    await other.clear();
  });

  test('a directory that can not be reached is exit code 4', async () => {
    const env = { VSERVER_DIRECTORY: 'mysql://nobody:nothing@127.0.0.1:1/none' };
    const { code, stderr } = await place.run(['user', 'list', '--json'], { env });
    expect({ code, secret: stderr.includes('nothing') }).toEqual({ code: 4, secret: false });
  });
});
