import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = normalize(join(import.meta.dirname, '../../src'));

/** From the top down: a file imports from its own layer or a lower one. */
const LAYERS: readonly (readonly string[])[] = [
  ['main.ts', 'cli'],
  [
    'node.ts',
    'edges.ts',
    'core.ts',
    'join.ts',
    'rounds.ts',
    'backends.ts',
    'datagrams.ts',
    'sample.ts',
    'secrets.ts',
    'run-file.ts',
    'reports.ts',
    'logger.ts',
    'config.ts',
    'settings.ts',
    'setting-readers.ts',
  ],
  ['udp', 'http', 'sip'],
  ['login', 'messages', 'admin', 'presence', 'cluster'],
  ['heartbeat', 'redirect', 'locator', 'config-xml', 'directory', 'bus'],
  ['base'],
];

/** Only the composition may touch the real world, and only it knows which backends there are. */
const RESERVED: Readonly<Record<string, readonly string[]>> = {
  'base/system.ts': ['node.ts', 'datagrams.ts', 'cli'],
  'base/system-batch.ts': ['datagrams.ts'],
  'base/system-streams.ts': ['node.ts'],
  'bus/nats.ts': ['node.ts', 'cli'],
  'directory/ldap.ts': ['backends.ts'],
  'directory/mysql.ts': ['backends.ts'],
  'directory/sqlite.ts': ['backends.ts'],
};

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

function layerOf(file: string): number {
  return LAYERS.findIndex((names) => names.some((name) => file === name || file.startsWith(`${name}/`)));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  return [...text.matchAll(/(?:from|import) '(\.[^']+)'|import\('(\.[^']+)'\)/g)].map((match) =>
    relative(SRC, join(SRC, dirname(file), match[1] ?? match[2] ?? '')),
  );
}

describe('imports', () => {
  it('are found at all', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(importsOf('node.ts')).toContain('core.ts');
  });

  it.each(files)('of %s point downwards only', (file) => {
    const own = layerOf(file);
    expect(own, `${file} belongs to no layer`).toBeGreaterThanOrEqual(0);
    for (const imported of importsOf(file)) {
      expect(layerOf(imported), `${file} imports ${imported}`).toBeGreaterThanOrEqual(own);
      const reserved = RESERVED[imported];
      const allowed = reserved?.some((name) => file === name || file.startsWith(`${name}/`)) ?? true;
      expect(allowed, `${file} must not import ${imported}`).toBe(true);
    }
  });

  it('make no circle', () => {
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      expect(path, 'a circle').not.toContain(file);
      if (done.has(file)) return;
      for (const imported of importsOf(file)) if (imported.endsWith('.ts')) visit(imported, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });
});
