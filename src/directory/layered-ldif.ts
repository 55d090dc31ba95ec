/** LDIF in and out of two directories that are one (layered.ts). */
import type { AttributeNames } from './attribute-names.ts';
import { DEFAULT_ATTRIBUTE_NAMES } from './attribute-names.ts';
import { NO_REGION, uidOf, userFromAttributes, userToAttributes, variableFromAttributes } from './attributes.ts';
import type { Applied, Attributes, Directory, LdifRecord } from './directory.ts';
import { parseDn } from './dn.ts';
import { classifyEntry } from './entry-kinds.ts';
import type { EntryKind } from './entry-kinds.ts';
import { mergedUser } from './layered-users.ts';

const USERS_AT_ONCE = 100;
const EMPTY: Attributes = new Map();

/** See Directory.apply. Servers and variables go to the state, all else to the first directory; in the order of the file. */
export async function applyLayered(
  first: Directory,
  state: Directory,
  names: AttributeNames,
  records: readonly LdifRecord[],
  stopAtFailure = false,
): Promise<readonly Applied[]> {
  const outcomes: Applied[] = [];
  while (outcomes.length < records.length) {
    const rest = records.slice(outcomes.length);
    const isState = rest[0] !== undefined && isOfState(rest[0], names);
    const end = rest.findIndex((record) => isOfState(record, names) !== isState);
    const run = end < 0 ? rest : rest.slice(0, end);
    const applied = await (isState ? state : first).apply(run, stopAtFailure);
    for (const [i, { outcome }] of isState ? [] : applied.entries()) {
      const record = run[i];
      if (record !== undefined) await follow(state, names, record, outcome);
    }
    outcomes.push(...applied);
    if (stopAtFailure && applied.at(-1)?.outcome === 'failed') break;
    if (applied.length < run.length) throw new Error('a directory must answer every record');
  }
  return outcomes;
}

/** The first directory's records, users whole, servers and variables as they are seen. */
export async function* layeredEntries(
  first: Directory,
  state: Directory,
  names: AttributeNames,
): AsyncIterable<LdifRecord> {
  const ofState: LdifRecord[] = [];
  for await (const record of state.entries()) if (isOfState(record, names)) ofState.push(record);
  const replaced = new Set(ofState.map(variableOf));
  let batch: LdifRecord[] = [];
  for await (const record of first.entries()) {
    const kind = kindOf(record, names);
    if (kind === 'server' || (kind === 'variable' && replaced.has(variableOf(record)))) continue;
    batch.push(record);
    if (batch.length < USERS_AT_ONCE) continue;
    yield* await Promise.all(batch.map((entry) => completed(state, names, entry)));
    batch = [];
  }
  yield* await Promise.all(batch.map((entry) => completed(state, names, entry)));
  yield* ofState;
}

function kindOf({ dn, change }: LdifRecord, names: AttributeNames): EntryKind {
  return classifyEntry(dn, change.type === 'add' ? change.attributes : EMPTY, names);
}

function isOfState(record: LdifRecord, names: AttributeNames): boolean {
  const kind = kindOf(record, names);
  return kind === 'server' || kind === 'variable';
}

/** The name of a variable; '' where the record is none. */
function variableOf({ dn, change }: LdifRecord): string {
  if (change.type !== 'add' || classifyEntry(dn, change.attributes, DEFAULT_ATTRIBUTE_NAMES) !== 'variable') return '';
  return variableFromAttributes(change.attributes, DEFAULT_ATTRIBUTE_NAMES)?.name ?? '';
}

/** What the state holds goes with a user who was removed or has another uid now. */
async function follow(
  state: Directory,
  names: AttributeNames,
  { line, dn, change }: LdifRecord,
  outcome: Applied['outcome'],
): Promise<void> {
  const uid = parseDn(dn)?.[0]?.find(({ type }) => type === names.uid.toLowerCase())?.value;
  if (uid === undefined) return;
  if (outcome === 'removed' || outcome === 'added') await state.remove(uid);
  if (outcome !== 'renamed' || change.type !== 'modrdn') return;
  const held = await state.find(uid);
  if (held === null) return;
  // Where he stands in the state's tree is of no account, so he stays there.
  await state.apply([{ line, dn: held.user.dn, change: { ...change, newSuperior: null } }]);
}

/** A user's record with what the state has of him; any other as it is. */
async function completed(state: Directory, names: AttributeNames, record: LdifRecord): Promise<LdifRecord> {
  const { dn, change } = record;
  if (change.type !== 'add' || !change.attributes.has(names.uid.toLowerCase())) return record;
  const held = await state.find(uidOf(dn, change.attributes, names));
  if (held === null) return record;
  const { user } = userFromAttributes(dn, change.attributes, NO_REGION, names);
  const whole = new Map([...change.attributes, ...userToAttributes(mergedUser(user, held.user), names)]);
  for (const name of ['cn', 'sn']) whole.set(name, change.attributes.get(name) ?? whole.get(name) ?? []);
  const classes = (change.attributes.get('objectclass') ?? []).map(String);
  const marked = classes.some((name) => name.toLowerCase() === 'vserveruser');
  whole.set('objectclass', marked ? classes : [...classes, 'vserverUser']);
  return { ...record, change: { type: 'add', attributes: whole } };
}
