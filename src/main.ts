#!/usr/bin/env -S node --max-semi-space-size=64
/**
 * The command line `vserver`. Room for what is young (V8 takes that from its command line only): when all telephones of a node
 * log in at once, what waits for the directory outlives the usual 16 MB (docs/performance.md, A storm of registrations).
 */
import { MessageChannel } from 'node:worker_threads';
import { run } from './cli/program.ts';

// Who reads the answer may have read enough (`| head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

// The timers of base/system.ts let a process end. A command that waits for one is not done yet.
const { port1: alive } = new MessageChannel();
alive.on('message', () => undefined);
try {
  process.exitCode = await run(process.argv.slice(2));
} finally {
  alive.close();
}
