import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readFileSync } from 'node:fs';

const ROOT = join(import.meta.dirname, '../..');

it('the WebAssembly of the express lane is what its sources say', () => {
  const compiled = execFileSync(process.execPath, [join(ROOT, 'scripts/assembly.mjs'), '--print'], {
    encoding: 'utf8',
  });
  expect(readFileSync(join(ROOT, 'src/sip/express-code.ts'), 'utf8')).toBe(compiled);
});
