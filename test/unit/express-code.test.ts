import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readFileSync } from 'node:fs';

const ROOT = join(import.meta.dirname, '../..');

it.each(['sip', 'udp'])('the WebAssembly of the express lane of %s is what its sources say', (edge) => {
  const compiled = execFileSync(process.execPath, [join(ROOT, 'scripts/assembly.mjs'), '--print', edge], {
    encoding: 'utf8',
  });
  expect(readFileSync(join(ROOT, 'src', edge, 'express-code.ts'), 'utf8')).toBe(compiled);
});
