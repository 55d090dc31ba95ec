/** `npm run bench`: measures what the node is expected to reach, each against a reference in the same run, and prints a table. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatTable, isReached, median, ratioOf } from './report.ts';
import type { Row } from './report.ts';
import type { Subject } from './subject.ts';
import { cluster } from './subjects/cluster.ts';
import { config } from './subjects/config.ts';
import { datagrams } from './subjects/datagrams.ts';
import { imports } from './subjects/imports.ts';
import { logins } from './subjects/logins.ts';
import { messages } from './subjects/messages.ts';
import { online } from './subjects/online.ts';
import { presence } from './subjects/presence.ts';
import { sip } from './subjects/sip.ts';
import { storm } from './subjects/storm.ts';

const SUBJECTS: readonly Subject[] = [
  ...datagrams,
  ...logins,
  ...storm,
  ...config,
  ...sip,
  ...messages,
  ...presence,
  ...cluster,
  ...imports,
  ...online,
];
const NAMES = SUBJECTS.map(({ name }) => name);

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    reps: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const wanted = options.only?.split(',') ?? NAMES;
const unknown = wanted.filter((name) => !NAMES.some((known) => known.startsWith(name)));
const reps = Number(options.reps);
if (unknown.length > 0 || !Number.isInteger(reps) || reps < 1) {
  console.error(unknown.length > 0 ? `unknown: ${unknown.join(', ')}` : '--reps takes a number from 1 on');
  console.error(`--only takes some of: ${NAMES.join(', ')} (or how they begin)`);
  process.exit(1);
}

const folder = await mkdtemp(join(tmpdir(), 'vserver-bench-'));
const rows: Row[] = [];
let broken = 0;
try {
  for (const subject of SUBJECTS.filter(({ name }) => wanted.some((begin) => name.startsWith(begin)))) {
    const start = performance.now();
    try {
      rows.push(...(await subject.measure({ reps: options.quick ? 1 : reps, quick: options.quick, folder })));
      console.error(`${subject.name}: ${Math.round((performance.now() - start) / 1000)} s`);
    } catch (error) {
      broken++;
      console.error(`${subject.name}:`, error);
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.versions.node}`;
const date = new Date().toISOString();
console.log(`${date.slice(0, 16).replace('T', ' ')} UTC, ${machine}; median [least–most] of the runs\n`);
console.log(formatTable(rows));
if (options.quick) console.log('\nA quick run: it shows that everything works; the figures mean little.');

const results = fileURLToPath(new URL('results/', import.meta.url));
const json = options.json ?? join(results, `${date.slice(0, 19).replaceAll(':', '')}.json`);
await mkdir(dirname(json), { recursive: true });
const judged = rows.map((row) => ({ ...row, median: median(row.ours), ratio: ratioOf(row), reached: isReached(row) }));
await writeFile(json, `${JSON.stringify({ date, machine, quick: options.quick, rows: judged }, null, 2)}\n`);
console.log(`\nAll figures: ${json}`);
// Missed goals are for the reader; only what could not be measured is a failure.
process.exit(broken === 0 ? 0 : 1);
