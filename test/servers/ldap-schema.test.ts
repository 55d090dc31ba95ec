/** The schema and the sample of ldif/ in a real OpenLDAP that is configured by cn=config; directory-ldap has slapd.conf. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock, systemTimers } from '../../src/base/system.ts';
import type { Directory } from '../../src/directory/directory.ts';
import { openLdap } from '../../src/directory/ldap.ts';
import { fullUser, make, online, unordered, userOf } from '../support/directory-samples.ts';
import { silentLog } from '../support/silent-log.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd } from '../support/slapd.ts';
import type { Slapd } from '../support/slapd.ts';

const fileOf = (name: string): string => fileURLToPath(new URL(`../../ldif/${name}`, import.meta.url));

describe('vserver-schema.ldif', () => {
  let slapd: Slapd;
  let directory: Directory;
  beforeAll(async () => {
    slapd = await startSlapd({ cnConfig: true });
    const access = { url: slapd.url, bindDn: ROOT_DN, password: ROOT_PASSWORD, startTls: false };
    directory = await openLdap({ ...access, log: silentLog, timers: systemTimers, clock: systemClock });
  });
  afterAll(async () => {
    await directory.close();
    await slapd.stop();
  });

  it('is what the check asks for while it is missing', async () => {
    const subjects = (await directory.check()).filter(({ level }) => level === 'error').map(({ subject }) => subject);
    expect(subjects).toEqual(['LDAP tree', 'LDAP schema']);
  });

  it('loads into a running server, the sample tree after it, and the check is content', async () => {
    slapd.add({ file: fileOf('vserver-schema.ldif') }, 'cn=config');
    slapd.add({ file: fileOf('sample.ldif') });
    expect((await directory.check()).filter(({ level }) => level !== 'ok')).toEqual([]);
  });

  it('has a place for every field', async () => {
    await make(directory, 'schema1', fullUser('schema1'));
    expect(await directory.writeLocation('schema1', online(1), 0)).toBe('written');
    const user = await userOf(directory, 'schema1');
    if (user === undefined) throw new Error('the user is missing');
    expect(unordered(user)).toEqual({ ...unordered(fullUser('schema1')), dn: user.dn });
  });

  it('defines what vserver.schema does', () => {
    const definitions = (text: string, mark: RegExp): string[] =>
      text
        .replace(/^#.*\n/gm, '')
        .split(mark)
        .slice(1)
        .map((definition) => definition.replace(/\s+/g, ' ').trim())
        .sort();
    const schema = definitions(readFileSync(fileOf('vserver.schema'), 'utf8'), /^(?:attributetype|objectclass) /m);
    const folded = readFileSync(fileOf('vserver-schema.ldif'), 'utf8').replaceAll('\n ', '');
    expect(definitions(folded, /^olc(?:AttributeTypes|ObjectClasses): /m)).toEqual(schema);
  });
});
