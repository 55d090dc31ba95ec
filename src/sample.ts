/** The first content of an embedded directory: the sample users of ldif/, so that there is something to try. */
import { createReadStream, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Clock } from './base/ports.ts';
import type { Directory } from './directory/directory.ts';
import { importLdif } from './directory/import.ts';

/** Stands in ldif/sample.ldif. */
export const SAMPLE_USER = { uid: '10017676', password: 'secret' } as const;

/** Wherever the tree begins here, the sample users are taken. */
const SAMPLE_BASE = { dn: 'dc=netbbq,dc=com', others: 'taken' } as const;

const SAMPLE = fileURLToPath(new URL('../ldif/sample.ldif', import.meta.url));

/** Imports the sample tree into a directory that holds nothing yet; answers whether it did. */
export async function fillWithSample(directory: Directory, clock: Clock): Promise<boolean> {
  const [users, regions] = [await directory.search({ field: 'uid', prefix: '', limit: 1 }), await directory.regions()];
  if (users.users.length > 0 || regions.length > 0) return false;
  const source = { name: SAMPLE, stream: createReadStream(SAMPLE), size: statSync(SAMPLE).size };
  const files = [source];
  const report = await importLdif({
    directory,
    base: SAMPLE_BASE,
    files,
    onProblem: 'stop',
    dryRun: false,
    progress: () => undefined,
    clock,
  });
  const [failure] = report.failures;
  if (failure !== undefined) throw new Error(`${failure.file}:${failure.line}: ${failure.reason}`);
  return true;
}

/** Whether the sample user is there with the password that everybody knows. */
export async function hasSampleUser(directory: Directory): Promise<boolean> {
  const entry = await directory.find(SAMPLE_USER.uid);
  return entry?.user.secret.password === SAMPLE_USER.password;
}
