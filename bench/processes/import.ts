/** An import as the command line does it, and the references of the SQL directories: the same rows without the rest. */
import { createReadStream, statSync } from 'node:fs';
import type * as BackendsModule from '../../src/backends.ts';
import type * as SystemModule from '../../src/base/system.ts';
import type * as ConfigModule from '../../src/config.ts';
import type * as ImportModule from '../../src/directory/import.ts';
import type * as LogModule from '../../src/logger.ts';
import { insertInBatches } from './raw-insert.ts';
import { answer, built } from './talk.ts';

const { loadConfig } = await built<typeof ConfigModule>('config.js');
const { baseOf, openDirectory } = await built<typeof BackendsModule>('backends.js');
const { systemClock, systemTimers } = await built<typeof SystemModule>('base/system.js');
const { importLdif } = await built<typeof ImportModule>('directory/import.js');
const { createLog } = await built<typeof LogModule>('logger.js');

const config = loadConfig(process.env);
const ports = { clock: systemClock, timers: systemTimers, log: createLog(config.logLevel) };
const directory = await openDirectory(config, ports);
await directory.migrate();

answer(
  {
    async import({ file }: { file: string }) {
      const source = { name: file, stream: createReadStream(file), size: statSync(file).size };
      const start = performance.now();
      const { counts } = await importLdif({
        directory,
        base: baseOf(config),
        files: [source],
        onProblem: 'skip',
        dryRun: false,
        progress: () => undefined,
        clock: systemClock,
      });
      return { ms: performance.now() - start, failed: counts.failed };
    },
    insert: ({ file }: { file: string }) => insertInBatches(config.directory, file),
  },
  () => directory.close(),
);
