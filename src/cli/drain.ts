/** `vserver drain` and `undrain`: users leave the node before it is stopped. */
import type { Command } from 'commander';
import { systemClock, systemTimers } from '../base/system.ts';
import { act } from './context.ts';
import { CommandError, EXIT, EXIT_CODES_HELP } from './failures.ts';
import { needNode } from './node-api.ts';

const LOOK_MS = 1_000;
const BAR_WIDTH = 30;

interface Progress {
  readonly state: string;
  readonly users: number;
  readonly usersAtStart?: number;
  readonly elsewhere: number;
}

export function addDrain(program: Command): void {
  const drain = program
    .command('drain')
    .description('Send new logins to other servers at once and present users by and by, and wait until all are gone.')
    .option('--rate <n>', 'users a second that are sent elsewhere at most', '100')
    .option('--no-wait', 'begin, and come back at once')
    .addHelpText('after', HELP);
  act<{ rate: string; wait: boolean }>(drain, async ({ terminal, config }, _args, { rate, wait }) => {
    if (!/^[1-9]\d{0,5}$/.test(rate)) throw new CommandError(EXIT.usage, '--rate must be a number from 1 to 100000');
    const node = needNode(config());
    let now = await node.call<Progress>('POST', '/v1/admin/drain', { rate: Number(rate) });
    if (now.elsewhere === 0 && now.users > 0) terminal.say('No other server has room now: users stay until one has.');
    const startMs = systemClock.now();
    const first = now.users;
    while (wait && now.users > 0) {
      terminal.progress(progressText(first, now.users, systemClock.now() - startMs));
      await new Promise<void>((resolve) => systemTimers.after(LOOK_MS, resolve));
      now = await node.call<Progress>('GET', '/v1/admin/drain');
      if (now.state !== 'draining') throw new CommandError(EXIT.failed, 'the node was undrained meanwhile');
    }
    terminal.progress('');
    const text = now.users === 0 ? 'Drained: nobody is here any more. Next: vserver stop' : `${now.users} users to go.`;
    terminal.answer(now, text);
  });

  const undrain = program
    .command('undrain')
    .description('Take logins again after a drain.')
    .addHelpText('after', `\nExamples:\n  vserver undrain\n\n${EXIT_CODES_HELP}`);
  act(undrain, async ({ terminal, config }) => {
    const now = await needNode(config()).call<Progress>('POST', '/v1/admin/undrain');
    terminal.answer(now, `The node takes logins again; ${now.users} users are here.`);
  });
}

/** `[######------] 1200 of 3000 users left, about 40 s to go`. */
export function progressText(first: number, left: number, elapsedMs: number): string {
  const gone = Math.max(0, first - left);
  const filled = first === 0 ? BAR_WIDTH : Math.floor((BAR_WIDTH * gone) / first);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`;
  const toGo = gone === 0 ? '' : `, about ${Math.ceil((elapsedMs / 1000 / gone) * left)} s to go`;
  return `${bar} ${gone} of ${first} users left${toGo}`;
}

const HELP = `
Clients are sent elsewhere in the answers to their heartbeats. SIP phones are registered at another node by this one, which
stays on the way to them until it stops, and are told to go there (302) when they refresh their registration.

Examples:
  vserver drain && vserver stop
  vserver drain --rate 500
  vserver drain --no-wait --json

${EXIT_CODES_HELP}`;
