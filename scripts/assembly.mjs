/**
 * Compiles src/sip/assembly (AssemblyScript) into src/sip/express-code.ts, which is what the node loads
 * (docs/decisions/0017-reader-in-webassembly.md). test/unit/express-code.test.ts holds the two together.
 * `--print` shows it instead.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const root = join(import.meta.dirname, '..');

/** The text of express-code.ts; throws where the sources have errors. */
async function compiled() {
  let code = '';
  const { error, stderr } = await asc.main(
    [
      ...['src/sip/assembly/index.ts', '--baseDir', root, '--outFile', 'reader.wasm'],
      ...['--optimizeLevel', '3', '--noAssert', '--runtime', 'stub', '--initialMemory', '1', '--maximumMemory', '1'],
    ],
    { writeFile: (_name, contents) => (code = Buffer.from(contents).toString('base64')) },
  );
  if (error !== null) throw new Error(`${error.message}\n${stderr.toString()}`);
  return `/** Made of assembly/ by scripts/assembly.mjs: WebAssembly in base64. */\nexport const CODE =\n  '${code}';\n`;
}

const text = await compiled();
if (process.argv[2] === '--print') process.stdout.write(text);
else writeFileSync(join(root, 'src/sip/express-code.ts'), text);
