#!/usr/bin/env node
/** The command line `vserver`. */
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
