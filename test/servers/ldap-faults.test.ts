/** What the LDAP backend does when the real server is killed, hangs, or speaks TLS. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock, systemTimers } from '../../src/base/system.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { openLdap } from '../../src/directory/ldap.ts';
import type { LdapOptions } from '../../src/directory/ldap.ts';
import { silentLog } from '../support/silent-log.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';

const SAMPLE = fileURLToPath(new URL('../../ldif/sample.ldif', import.meta.url));
const UNAVAILABLE = { code: 'DIRECTORY_UNAVAILABLE' };

describe('an LDAP server', () => {
  let slapd: Slapd;
  const opened: Directory[] = [];
  const open = async (more: Partial<LdapOptions> = {}): Promise<Directory> => {
    const access = { url: slapd.url, bindDn: ROOT_DN, password: ROOT_PASSWORD, startTls: false, deadlineMs: 1_000 };
    const ports = { log: silentLog, timers: systemTimers, clock: systemClock };
    const directory = await openLdap({ ...access, ...ports, ...more });
    opened.push(directory);
    return directory;
  };
  /** userPassword is shown to the bound administrator only, so it tells whether the connection is bound. */
  const password = async (directory: Directory): Promise<string | null | undefined> =>
    (await directory.find('10017676'))?.user.secret.password;

  beforeAll(async () => {
    slapd = await startSlapd();
    slapd.add({ file: SAMPLE });
  });
  afterEach(async () => {
    for (const directory of opened.splice(0)) await directory.close();
  });
  afterAll(() => slapd.stop());

  it('that was killed fails operations at once, and is used and bound to again as soon as it is back', async () => {
    const directory = await open();
    expect(await password(directory)).toBe('secret');
    await slapd.kill();
    await expect(directory.find('10017676')).rejects.toMatchObject(UNAVAILABLE);
    await slapd.restart();
    expect(await password(directory)).toBe('secret');
  });

  it('may be down when the directory is opened', async () => {
    await slapd.kill();
    const directory = await open();
    await expect(directory.ping()).rejects.toMatchObject(UNAVAILABLE);
    await slapd.restart();
    await directory.ping();
  });

  it('that hangs holds nobody up for longer than the deadline, and is used again when it goes on', async () => {
    const directory = await open();
    expect(await password(directory)).toBe('secret');
    await slapd.pause();
    try {
      const began = performance.now();
      await expect(directory.find('10017676')).rejects.toMatchObject(UNAVAILABLE);
      await expect(directory.peek(['10017676'])).rejects.toMatchObject(UNAVAILABLE);
      expect(performance.now() - began).toBeLessThan(10_000);
    } finally {
      slapd.resume();
    }
    expect(await password(directory)).toBe('secret');
  });

  it('with more work waiting than is allowed is OVERLOADED for the rest', async () => {
    const directory = await open({ connectionsMax: 1, deadlineMs: 20_000 });
    const answers = await Promise.allSettled(Array.from({ length: 1_200 }, () => directory.ping()));
    const refused = answers.filter((answer) => answer.status === 'rejected');
    expect(refused).toHaveLength(1_200 - 96);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'OVERLOADED' });
  });

  it('is spoken to by StartTLS and by ldaps, where its certificate is trusted, and else not', async () => {
    const tls = { ca: readFileSync(slapd.certificate) };
    expect(await password(await open({ startTls: true, tls }))).toBe('secret');
    expect(await password(await open({ url: slapd.ldapsUrl, tls }))).toBe('secret');
    await expect((await open({ startTls: true })).ping()).rejects.toMatchObject(UNAVAILABLE);
    await expect((await open({ url: slapd.ldapsUrl })).ping()).rejects.toMatchObject(UNAVAILABLE);
  });

  it('never takes an empty password by a bind', async () => {
    const directory = await open();
    const user = (await directory.find('10017676'))?.user;
    if (user === undefined) throw new Error('the sample user is missing');
    const unread = { ...user, secret: { ...user.secret, password: null } };
    expect(await directory.checkPassword(unread, '')).toBe(false);
    expect(await directory.checkPassword(unread, 'wrong')).toBe(false);
    expect(await directory.checkPassword(unread, 'secret')).toBe(true);
  });

  it('with a malformed entry gives the defaults for what can not be read', async () => {
    slapd.add({
      text: 'dn: uid=odd,ou=china,ou=users,dc=netbbq,dc=com\nobjectClass: inetOrgPerson\nobjectClass: vserverUser\nuid: odd\ncn: odd\nsn: odd\nvsAge: -5\nvsVoipAccount: {broken\nvsPrivacy: whoever\n',
    });
    const user = (await (await open()).find('odd'))?.user;
    expect(user).toMatchObject({ basic: { age: null }, voip: [], service: { privacy: 'all' } });
  });
});
