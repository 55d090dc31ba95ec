/** `vserver stop`: ends the node that runs on the data folder. */
import type { Command } from 'commander';
import { systemClock, systemTimers } from '../base/system.ts';
import { act } from './context.ts';
import { CommandError, EXIT, EXIT_CODES_HELP } from './failures.ts';
import { needNode } from './node-api.ts';

const GONE_MS_MAX = 15_000;
const LOOK_MS = 50;

export function addStop(program: Command): void {
  const command = program
    .command('stop')
    .description('Stop the node that runs on the data folder, and wait until it is gone (15 s at most).')
    .option('--logout', 'log everybody out; without it the sessions are kept for the next start')
    .addHelpText('after', HELP);
  act<{ logout?: boolean }>(command, async ({ terminal, config }, _args, { logout = false }) => {
    const node = needNode(config());
    await node.call('POST', '/v1/admin/stop', { logout });
    const startMs = systemClock.now();
    while (node.isAlive()) {
      if (systemClock.now() - startMs > GONE_MS_MAX) {
        throw new CommandError(EXIT.failed, `process ${node.pid} has not ended within ${GONE_MS_MAX / 1000} s`);
      }
      await new Promise<void>((resolve) => systemTimers.after(LOOK_MS, resolve));
    }
    terminal.answer({ stopped: node.pid, logout }, `Stopped (process ${node.pid}).`);
  });
}

const HELP = `
Examples:
  vserver stop
  vserver stop --logout          before a longer pause: nobody is found here any more

${EXIT_CODES_HELP}`;
