/** `vserver locate`: where a user is, and how that is known. */
import type { Command } from 'commander';
import { formatAddress } from '../base/address.ts';
import { systemClock } from '../base/system.ts';
import type { Directory } from '../directory/directory.ts';
import { UserFinder } from '../locator/find-user.ts';
import { SILENCE_MS_MAX } from '../redirect/servers.ts';
import type { Context } from './context.ts';
import { act, withDirectory } from './context.ts';
import { EXIT_CODES_HELP, CommandError, EXIT } from './failures.ts';
import type { RunningNode } from './node-api.ts';
import { findNode } from './node-api.ts';
import { outline } from './terminal.ts';

interface LocateOptions {
  readonly explain?: boolean;
  readonly as?: string;
}

type Answer = Record<string, unknown> & { steps: string[] };

export function addLocate(program: Command): void {
  const command = program
    .command('locate')
    .argument('<uid>', 'uid, or the number form: 0, country code, uid')
    .description(
      'Tell where a user is. The running node is asked; where none runs, only what stands in the directory can be told.',
    )
    .option('--explain', 'tell each step of the way to the answer')
    .option('--as <uid>', 'ask as this user: privacy, blocked lists and invisibility count for him; else as a stranger')
    .addHelpText('after', HELP);
  act<LocateOptions>(command, locate);
}

const HELP = `
Examples:
  vserver locate 10017676
  vserver locate 08610017676 --explain
  vserver locate 10017676 --as 10043939 --json

${EXIT_CODES_HELP}`;

async function locate({ terminal, config }: Context, args: readonly string[], options: LocateOptions): Promise<void> {
  const [uid = ''] = args;
  const settings = config();
  const node = findNode(settings);
  if (node === null) terminal.say('No node runs here: this is what stands in the directory.');
  const { steps, ...found } =
    node === null
      ? await withDirectory(settings, 'need', (directory) => byDirectory(directory, uid))
      : await byNode(node, uid, options);
  const explained = options.explain === true ? steps : [];
  const text = [...explained.map((step) => terminal.paint('dim', `  ${step}`)), outline(found)].join('\n');
  terminal.answer(options.explain === true ? { ...found, steps } : found, text);
}

function byNode(node: RunningNode, uid: string, { as }: LocateOptions): Promise<Answer> {
  const asker = as === undefined ? '' : `&as=${encodeURIComponent(as)}`;
  return node.call<Answer>('GET', `/v1/locate/${encodeURIComponent(uid)}?explain=1${asker}`);
}

/** Without a node nobody knows status and devices, and privacy hides nothing from the operator. */
async function byDirectory(directory: Directory, uid: string): Promise<Answer> {
  const entry = await new UserFinder(directory, systemClock).find(uid);
  if (entry === null) throw new CommandError(EXIT.notFound, `nobody is known as ${uid}, neither by uid nor by number`);
  const { user, location } = entry;
  const steps = [`directory (${directory.description}): ${user.dn}, epoch ${location.epoch}`];
  const time = (ms: number | null): string | undefined => (ms === null ? undefined : new Date(ms).toISOString());
  const about = { uid: user.uid, alias: user.basic.alias };
  if (location.server === null) {
    steps.push('location record: logged out');
    return { ...about, status: 'offline', lastSeen: time(location.logoutAt), steps };
  }
  const { name, address } = location.server;
  const owner = (await directory.servers()).find((one) => one.name === name);
  const silentMs = owner === undefined ? Infinity : systemClock.now() - owner.seenAt;
  steps.push(`location record: on ${name} (${formatAddress(address)}) since ${time(location.loginAt) ?? 'unknown'}`);
  if (location.hidden) steps.push('he is invisible: nodes answer Offline for him');
  const isSilent = owner?.state === 'off' || silentMs > SILENCE_MS_MAX;
  const last =
    owner === undefined
      ? 'is not in the server list'
      : `was last seen ${Math.round(silentMs / 1000)} s ago, state ${owner.state}`;
  steps.push(`owner: ${name} ${last}${isSilent ? ': the session counts as ended' : ''}`);
  return {
    ...about,
    status: isSilent ? 'offline' : 'see-also',
    server: formatAddress(address),
    network: location.network ?? undefined,
    wan: location.wan === null ? undefined : formatAddress(location.wan),
    local: location.local === null ? undefined : formatAddress(location.local),
    steps,
  };
}
