/** The import of an LDIF file into an empty directory, against the least that has to be done. */
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { alternate, format } from '../report.ts';
import type { Row } from '../report.ts';
import type { Run, Subject } from '../subject.ts';
import { BACKENDS, importUsers, writeUsers } from '../users.ts';
import type { Backend } from '../users.ts';

export const imports: readonly Subject[] = BACKENDS.map(({ name, open }) => ({
  name: `import-${name.toLowerCase()}`,
  async measure(run) {
    const backend = await open(run.folder);
    try {
      return [await measure(run, backend)];
    } finally {
      await backend.close();
    }
  },
}));

async function measure(run: Run, backend: Backend): Promise<Row> {
  const users = run.quick ? 2_000 : 100_000;
  const file = join(run.folder, `import-${backend.name}.ldif`);
  await writeUsers(file, users);
  const ldap = backend.name === 'OpenLDAP';
  const measured = await alternate(
    // One run takes its time, and there is no compiler to warm up on the other side.
    Math.min(run.reps, 3),
    async () => (users / (await importOnce(backend, file))) * 1000,
    async () => (users / (await referenceOnce(backend, file))) * 1000,
  );
  return {
    subject: `LDIF import of ${format(users)} users, ${backend.name}`,
    unit: 'users/s',
    ours: measured.ours,
    reference: { name: ldap ? 'ldapadd' : 'batch insert', values: measured.reference },
    goal: { ratioMin: ldap ? 0.7 : 0.3 },
    notes: ldap
      ? []
      : ['reference: the same rows of all tables, parsed before, 128 a statement, 1,000 users a transaction'],
  };
}

async function importOnce(backend: Backend, file: string): Promise<number> {
  const place = await backend.fresh();
  try {
    return await importUsers(place, file);
  } finally {
    await place.remove();
  }
}

/** Milliseconds. */
async function referenceOnce(backend: Backend, file: string): Promise<number> {
  const place = await backend.fresh();
  try {
    if (place.slapd !== null) {
      const start = performance.now();
      place.slapd.add({ file });
      return performance.now() - start;
    }
    // This makes the tables, as before an import.
    const child = await startChild('import', { cores: '0-1', env: place.env });
    try {
      return await child.ask<number>('insert', { file });
    } finally {
      await child.stop();
    }
  } finally {
    await place.remove();
  }
}
