/** LDIF records applied to the tables. Users here; what is known by its name alone in sql-import-named.ts. */
import { VserverError } from '../base/errors.ts';
import type { User } from '../base/model.ts';
import { DEFAULT_ATTRIBUTE_NAMES as NAMES } from './attribute-names.ts';
import { uidOf, userFromAttributes, userToAttributes } from './attributes.ts';
import type { Applied, Attributes, LdifChange, LdifRecord } from './directory.ts';
import { parentDn } from './dn.ts';
import { classifyEntry, regionNameOf } from './entry-kinds.ts';
import { applyModifications } from './modifications.ts';
import type { SqlDriver, SqlRunner } from './sql-driver.ts';
import { applyNamed } from './sql-import-named.ts';
import type { SqlReader } from './sql-read.ts';
import { ensureRegion, insertUsers, updateUser } from './sql-users.ts';
import { validateUser } from './validate.ts';

/** See Directory.apply. Users added one after the other go in together; all else is a transaction a record. */
export async function applyRecords(
  driver: SqlDriver,
  read: SqlReader,
  records: readonly LdifRecord[],
  stopAtFailure: boolean,
): Promise<readonly Applied[]> {
  const outcomes: Applied[] = [];
  while (outcomes.length < records.length) {
    const rest = records.slice(outcomes.length);
    const end = rest.findIndex((record) => !isUserAdd(record));
    const adds = end < 0 ? rest : rest.slice(0, end);
    const [next] = rest;
    if (adds.length > 0) outcomes.push(...(await addUsers(driver, adds, stopAtFailure)));
    else if (next !== undefined) outcomes.push(await applyOne(driver, read, next));
    if (stopAtFailure && outcomes.at(-1)?.outcome === 'failed') break;
  }
  return outcomes;
}

function isUserAdd({ dn, change }: LdifRecord): boolean {
  return change.type === 'add' && classifyEntry(dn, change.attributes, NAMES) === 'user';
}

const RACES_MAX = 5;

async function addUsers(
  driver: SqlDriver,
  records: readonly LdifRecord[],
  stopAtFailure: boolean,
): Promise<readonly Applied[]> {
  const parsed = records.map(({ dn, change }) => parseUser(dn, attributesOf(change)));
  for (let tries = 1; ; tries++) {
    try {
      return await driver.transaction('long', (tx) => addFresh(tx, parsed, stopAtFailure));
    } catch (error) {
      // Somebody else adds the same users at this moment: the next round sees what he has added.
      if (!(error instanceof VserverError) || error.code !== 'CONFLICT' || tries === RACES_MAX) throw error;
    }
  }
}

/** @throws VserverError CONFLICT where one of the users came into being meanwhile. */
async function addFresh(
  tx: SqlRunner,
  parsed: readonly (User | Failed)[],
  stopAtFailure: boolean,
): Promise<readonly Applied[]> {
  const users = parsed.filter((user): user is User => !isFailed(user));
  const regions = await regionsOf(tx, users);
  const fresh: User[] = [];
  const judge = (user: User | Failed): Applied => {
    if (isFailed(user)) return user;
    const taken = regions.get(user.uid);
    if (taken === user.region) return { outcome: 'unchanged' };
    if (taken !== undefined) return failed('the uid is taken in another region');
    regions.set(user.uid, user.region);
    fresh.push(user);
    return { outcome: 'added' };
  };
  const outcomes: Applied[] = [];
  for (const user of parsed) {
    const outcome = judge(user);
    outcomes.push(outcome);
    if (stopAtFailure && outcome.outcome === 'failed') break;
  }
  if ((await insertUsers(tx, fresh)) === 'duplicate') throw new VserverError('CONFLICT');
  for (const region of new Set(fresh.map((user) => user.region))) await ensureRegion(tx, region, '');
  return outcomes;
}

/** The regions of those of the users who exist already, by uid. */
async function regionsOf(tx: SqlRunner, users: readonly User[]): Promise<Map<string, string>> {
  const regions = new Map<string, string>();
  for (let i = 0; i < users.length; i += UIDS_A_QUERY) {
    const uids = users.slice(i, i + UIDS_A_QUERY).map((user) => user.uid);
    const list = [...uids, ...Array<string>(UIDS_A_QUERY - uids.length).fill(uids[0] ?? '')];
    const rows = await tx.query(`SELECT uid, region FROM users WHERE uid IN (${IN_LIST})`, list);
    for (const row of rows) regions.set(String(row['uid']), String(row['region']));
  }
  return regions;
}
const UIDS_A_QUERY = 128;
const IN_LIST = Array(UIDS_A_QUERY).fill('?').join(', ');

async function applyOne(driver: SqlDriver, read: SqlReader, { dn, change }: LdifRecord): Promise<Applied> {
  const kind = classifyEntry(dn, attributesOf(change), NAMES);
  if (kind === 'other') return { outcome: 'ignored', reason: 'no place for such an entry' };
  if (kind === 'container') {
    if (change.type === 'add') return { outcome: 'unchanged' };
    return { outcome: 'ignored', reason: 'the containers of the tree are fixed' };
  }
  return driver.transaction('long', async (tx) => {
    if (kind !== 'user') return applyNamed(tx, driver.dialect, kind, dn, change);
    const uid = uidOf(dn, NO_ATTRIBUTES, NAMES);
    const user = await read.lock(tx, uid);
    if (user === null || user.region !== regionNameOf(dn)) return failed('no such entry');
    return changeEntry(tx, user, dn, change);
  });
}

async function changeEntry(tx: SqlRunner, user: User, dn: string, change: LdifChange): Promise<Applied> {
  switch (change.type) {
    case 'add':
      return { outcome: 'unchanged' };
    case 'delete':
      await tx.run('DELETE FROM users WHERE uid = ?', [user.uid]);
      return { outcome: 'removed' };
    case 'modify': {
      const modified = applyModifications(userToAttributes(user, NAMES), change.modifications);
      if (modified.outcome !== 'modified') return failed(`${modified.outcome}: ${modified.attribute}`);
      const after = parseUser(dn, modified.attributes);
      if (isFailed(after)) return after;
      if (after.uid !== user.uid) return failed('the uid is the name of the entry: change it by modrdn');
      await updateUser(tx, user, after);
      return { outcome: 'changed' };
    }
    case 'modrdn': {
      const newDn = `${change.newRdn},${change.newSuperior ?? parentDn(dn)}`;
      if (classifyEntry(newDn, NO_ATTRIBUTES, NAMES) !== 'user') return failed('a user has to stay one, named by uid');
      const after = { ...user, uid: uidOf(newDn, NO_ATTRIBUTES, NAMES), region: regionNameOf(newDn) };
      const broken = validateUser(after);
      if (broken.length > 0) return failed(broken.join('; '));
      if ((await updateUser(tx, user, after)) === 'taken') return failed('the new uid is taken');
      await ensureRegion(tx, after.region, '');
      return { outcome: 'renamed' };
    }
  }
}

type Failed = Extract<Applied, { reason: string }>;

function isFailed(parsed: User | Failed): parsed is Failed {
  return 'outcome' in parsed;
}

function failed(reason: string): Failed {
  return { outcome: 'failed', reason };
}

const NO_ATTRIBUTES: Attributes = new Map();

function attributesOf(change: LdifChange): Attributes {
  return change.type === 'add' ? change.attributes : NO_ATTRIBUTES;
}

/** The user of an entry, or why it can't be one. */
function parseUser(dn: string, attributes: Attributes): User | Failed {
  const region = { name: regionNameOf(dn), countryCode: '' };
  const { user, problems } = userFromAttributes(dn, attributes, region, NAMES);
  const broken = [...problems, ...validateUser(user)];
  return broken.length > 0 ? failed(broken.join('; ')) : user;
}
