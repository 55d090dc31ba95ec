/**
 * Compiles the folders src/…/assembly (AssemblyScript) into the express-code.ts beside each, which is what the node loads
 * (docs/decisions/0017-reader-in-webassembly.md). test/unit/express-code.test.ts holds the two together.
 * `--print` and one of the names shows it instead.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const EDGES = ['sip', 'udp'];
const root = join(import.meta.dirname, '..');

/** The text of express-code.ts; throws where the sources have errors. */
async function compiled(edge) {
  let code = '';
  const { error, stderr } = await asc.main(
    [
      ...[`src/${edge}/assembly/index.ts`, '--baseDir', root, '--outFile', 'express.wasm'],
      ...['--optimizeLevel', '3', '--noAssert', '--runtime', 'stub', '--initialMemory', '1', '--maximumMemory', '1'],
      ...['--enable', 'simd'],
      // What stands in the sources themselves comes behind what the two sides share.
      ...(edge === 'udp' ? ['--memoryBase', '61440'] : []),
    ],
    { writeFile: (_name, contents) => (code = Buffer.from(contents).toString('base64')) },
  );
  if (error !== null) throw new Error(`${error.message}\n${stderr.toString()}`);
  return `/** Made of assembly/ by scripts/assembly.mjs: WebAssembly in base64. */\nexport const CODE =\n  '${code}';\n`;
}

const [option, name] = process.argv.slice(2);
if (option === '--print') process.stdout.write(await compiled(name));
else for (const edge of EDGES) writeFileSync(join(root, `src/${edge}/express-code.ts`), await compiled(edge));
