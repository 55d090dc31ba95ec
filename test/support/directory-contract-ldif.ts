/** The part of the directory contract that speaks LDIF: imports and exports. */
import { describe, expect, it } from 'vitest';
import type { ServerRecord, User } from '../../src/base/model.ts';
import type {
  Applied,
  Attributes,
  Directory,
  LdifChange,
  LdifRecord,
  Modification,
} from '../../src/directory/directory.ts';
import { allPages, CONTRACT_BASE_DN, fullUser, online, serverRecord, unordered, userOf } from './directory-samples.ts';

const USERS_DN = `ou=users,${CONTRACT_BASE_DN}`;
let line = 0;

function attributes(fields: Readonly<Record<string, string | readonly string[]>>): Attributes {
  return new Map(
    Object.entries(fields).map(([name, value]) => [name.toLowerCase(), typeof value === 'string' ? [value] : value]),
  );
}

function record(dn: string, change: LdifChange): LdifRecord {
  line += 10;
  return { line, dn, change };
}

function addUser(uid: string, fields: Readonly<Record<string, string | readonly string[]>> = {}): LdifRecord {
  const entry = { objectClass: ['inetOrgPerson', 'vserverUser'], uid, cn: uid, sn: uid, ...fields };
  return record(`uid=${uid},ou=china,${USERS_DN}`, { type: 'add', attributes: attributes(entry) });
}

function modify(uid: string, ...modifications: Modification[]): LdifRecord {
  return record(`uid=${uid},ou=china,${USERS_DN}`, { type: 'modify', modifications });
}

function rename(uid: string, newRdn: string, newSuperior: string | null = null): LdifRecord {
  const dn = `uid=${uid},ou=china,${USERS_DN}`;
  return record(dn, { type: 'modrdn', newRdn, deleteOldRdn: true, newSuperior });
}

function outcomes(applied: readonly Applied[]): string[] {
  return applied.map(({ outcome }) => outcome);
}

export function importing(get: () => Directory): void {
  describe('an import', () => {
    const tree = (): LdifRecord[] => [
      record(CONTRACT_BASE_DN, {
        type: 'add',
        attributes: attributes({ objectClass: ['dcObject', 'organization'], dc: 'netbbq', o: 'netbbq' }),
      }),
      record(USERS_DN, { type: 'add', attributes: attributes({ objectClass: 'organizationalUnit', ou: 'users' }) }),
      record(`ou=canada,${USERS_DN}`, {
        type: 'add',
        attributes: attributes({
          objectClass: ['organizationalUnit', 'vserverRegion'],
          ou: 'canada',
          countryCode: '1',
        }),
      }),
      addUser('import1', { displayName: 'Im Port', telephoneNumber: ['+1', '+2'], vsEnabled: 'FALSE' }),
      addUser('import2', { userPassword: 'secret', vsBuddy: ['import1', '10000001'] }),
      record(`cn=vserver90,ou=servers,${CONTRACT_BASE_DN}`, {
        type: 'add',
        attributes: attributes({
          objectClass: 'vserverServer',
          cn: 'vserver90',
          vsIp: '210.22.176.196',
          vsPort: '4321',
          vsState: 'off',
        }),
      }),
      record(`cn=BUY_URL,ou=config,${CONTRACT_BASE_DN}`, {
        type: 'add',
        attributes: attributes({ objectClass: 'vserverVariable', cn: 'BUY_URL', vsValue: 'http://buy.example.com' }),
      }),
    ];

    it('adds regions, users, servers and variables, and makes missing parents', async () => {
      const applied = outcomes(await get().apply(tree()));
      expect(applied.slice(2)).toEqual(['added', 'added', 'added', 'added', 'added']);
      for (const outcome of applied.slice(0, 2)) expect(['added', 'unchanged']).toContain(outcome);
      expect(await get().regions()).toContainEqual({ name: 'canada', countryCode: '1' });
      const user = await userOf(get(), 'import1');
      expect(user).toMatchObject({ region: 'china', basic: { alias: 'Im Port' }, service: { enabled: false } });
      expect([...(user?.contact.telephones ?? [])].sort()).toEqual(['+1', '+2']);
      expect([...((await userOf(get(), 'import2'))?.lists.buddies ?? [])].sort()).toEqual(['10000001', 'import1']);
      expect(await get().variable('BUY_URL')).toBe('http://buy.example.com');
      const server = (await get().servers()).find(({ name }) => name === 'vserver90');
      expect(server).toMatchObject({ udp: { host: '210.22.176.196', port: 4321 }, state: 'off' });
    });

    it('run again changes nothing', async () => {
      await get().apply(tree());
      const before = (await get().find('import1'))?.version;
      expect(new Set(outcomes(await get().apply(tree())))).toEqual(new Set(['unchanged']));
      expect((await get().find('import1'))?.version).toBe(before);
    });

    it('takes up where it was interrupted', async () => {
      const uids = Array.from({ length: 30 }, (_, i) => `resume${i}`);
      await get().apply(uids.slice(0, 13).map((uid) => addUser(uid)));
      const applied = outcomes(await get().apply(uids.map((uid) => addUser(uid))));
      expect(applied).toEqual(uids.map((_, i) => (i < 13 ? 'unchanged' : 'added')));
      expect((await get().peek(uids)).size).toBe(30);
    });

    it('modifies as LDAP does: add, delete a value, delete all, replace', async () => {
      await get().apply([addUser('mod1', { mail: ['a@x.org', 'b@x.org'], displayName: 'Old', vsGender: 'male' })]);
      const modified = modify(
        'mod1',
        { operation: 'add', attribute: 'mail', values: ['c@x.org'] },
        { operation: 'delete', attribute: 'mail', values: ['a@x.org'] },
        { operation: 'delete', attribute: 'vsGender', values: [] },
        { operation: 'replace', attribute: 'displayName', values: ['New'] },
      );
      expect(outcomes(await get().apply([modified]))).toEqual(['changed']);
      const user = await userOf(get(), 'mod1');
      expect([...(user?.contact.mails ?? [])].sort()).toEqual(['b@x.org', 'c@x.org']);
      expect(user?.basic).toMatchObject({ alias: 'New', gender: '' });
    });

    it('answers a modification that does not fit with failed, and changes nothing of the entry', async () => {
      await get().apply([addUser('mod2', { displayName: 'Old' })]);
      const applied = await get().apply([
        modify(
          'mod2',
          { operation: 'replace', attribute: 'displayName', values: ['New'] },
          { operation: 'delete', attribute: 'vsGender', values: ['female'] },
        ),
        modify('nobody', { operation: 'replace', attribute: 'displayName', values: ['New'] }),
        addUser('mod3'),
      ]);
      expect(outcomes(applied)).toEqual(['failed', 'failed', 'added']);
      expect((await userOf(get(), 'mod2'))?.basic.alias).toBe('Old');
    });

    it('deletes', async () => {
      await get().apply([addUser('del1')]);
      const deletion = record(`uid=del1,ou=china,${USERS_DN}`, { type: 'delete' });
      expect(outcomes(await get().apply([deletion, deletion]))).toEqual(['removed', 'failed']);
      expect(await get().find('del1')).toBeNull();
    });

    it('renames a user with all that is his, and moves him to another region', async () => {
      await get().apply([addUser('ren1', { vsBuddy: ['10000001'], mail: 'ren@x.org' })]);
      await get().writeLocation('ren1', online(1), 0);
      expect(outcomes(await get().apply([rename('ren1', 'uid=ren2')]))).toEqual(['renamed']);
      expect(await get().find('ren1')).toBeNull();
      expect(await get().find('ren2')).toMatchObject({
        user: { lists: { buddies: ['10000001'] }, contact: { mails: ['ren@x.org'] } },
        location: online(1),
      });
      const moved = await get().apply([rename('ren2', 'uid=ren2', `ou=canada,${USERS_DN}`)]);
      expect(outcomes(moved)).toEqual(['renamed']);
      expect(await userOf(get(), 'ren2')).toMatchObject({ region: 'canada', countryCode: '1' });
    });

    it('refuses users who break a rule and goes on with the next record', async () => {
      const applied = await get().apply([addUser('bad1', { xmlext: '<a>' }), addUser('good1')]);
      expect(outcomes(applied)).toEqual(['failed', 'added']);
      expect(await get().find('bad1')).toBeNull();
      expect(await userOf(get(), 'good1')).toBeDefined();
    });

    it('told to stop at a failure, does what stands before it and nothing behind it', async () => {
      const bad = addUser('stop3', { xmlext: '<a>' });
      const behind = record(`cn=STOPPED,ou=config,${CONTRACT_BASE_DN}`, {
        type: 'add',
        attributes: attributes({ objectClass: 'vserverVariable', cn: 'STOPPED', vsValue: 'x' }),
      });
      const records = [addUser('stop1'), addUser('stop2'), bad, addUser('stop4'), behind];
      expect(outcomes(await get().apply(records, true))).toEqual(['added', 'added', 'failed']);
      expect([...(await get().peek(['stop1', 'stop2', 'stop3', 'stop4'])).keys()].sort()).toEqual(['stop1', 'stop2']);
      expect(await get().variable('STOPPED')).toBeNull();
      const refused = modify('nobody', { operation: 'replace', attribute: 'displayName', values: ['New'] });
      expect(outcomes(await get().apply([behind, refused, addUser('stop4')], true))).toEqual(['added', 'failed']);
      expect(await get().find('stop4')).toBeNull();
      await get().writeVariable('STOPPED', null);
    });
  });
}

export function exporting(get: () => Directory): void {
  describe('an export', () => {
    it('tells everything that is stored, once: imported into the emptied directory it makes the same again', async () => {
      await get().create(fullUser('export1'));
      await get().writeServer(serverRecord('exported'));
      await get().writeVariable('MCC_URL', 'http://mcc.example.com');
      const exported: LdifRecord[] = [];
      for await (const entry of get().entries()) exported.push(entry);
      expect(new Set(exported.map(({ dn }) => dn)).size).toBe(exported.length);

      const before = await everything(get());
      for (const uid of before.uids) await get().remove(uid);
      for (const { name } of before.servers) await get().removeServer(name);
      await get().writeVariable('MCC_URL', null);
      expect((await everything(get())).uids).toEqual([]);

      for (let i = 0; i < exported.length; i += 1000) {
        for (const applied of await get().apply(exported.slice(i, i + 1000))) {
          expect(['added', 'unchanged']).toContain(applied.outcome);
        }
      }
      expect(await everything(get())).toEqual(before);
      expect(await get().variable('MCC_URL')).toBe('http://mcc.example.com');
    });
  });
}

async function everything(directory: Directory): Promise<{ uids: string[]; users: User[]; servers: ServerRecord[] }> {
  const uids = (await allPages(directory, { field: 'uid', prefix: '', limit: 1000 })).flat().sort();
  const users: User[] = [];
  for (const uid of uids) {
    const user = await userOf(directory, uid);
    if (user !== undefined) users.push(unordered(user));
  }
  const servers = [...(await directory.servers())].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { uids, users, servers };
}
