/** `npm run bench:compare A.json B.json`: what has changed from A to B, beyond the noise of the runs. */
import { readFile } from 'node:fs/promises';
import { compareRows, formatChanges } from './changes.ts';
import type { Row } from './report.ts';

const files = process.argv.slice(2);
if (files.length !== 2) {
  console.error('npm run bench:compare -- A.json B.json (as npm run bench wrote them)');
  process.exit(1);
}
const [before = [], after = []] = await Promise.all(files.map(rowsOf));
console.log(formatChanges(compareRows(before, after)));

async function rowsOf(file: string): Promise<readonly Row[]> {
  const { rows } = JSON.parse(await readFile(file, 'utf8')) as { readonly rows: readonly Row[] };
  return rows;
}
