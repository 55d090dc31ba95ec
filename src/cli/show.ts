/** The commands that show one thing: settings, config, sessions, servers, and what migrate has done. */
import type { Command } from 'commander';
import type { ReadSettings } from '../config.ts';
import { readSettings } from '../config.ts';
import { SETTINGS } from '../settings.ts';
import type { ShownServer } from './by-directory.ts';
import { act, withDirectory } from './context.ts';
import { CommandError, EXIT, EXIT_CODES_HELP } from './failures.ts';
import type { RunningNode } from './node-api.ts';
import { findNode, needNode } from './node-api.ts';
import { table } from './terminal.ts';

export function addSettings(program: Command): void {
  const command = program
    .command('settings')
    .description(
      'List all settings: value, where it comes from, variable and meaning, and what is wrong. Secrets are not shown.',
    )
    .addHelpText(
      'after',
      `\nExamples:\n  vserver settings\n  vserver settings --config vserver.yaml --json\n\n${EXIT_CODES_HELP}`,
    );
  act(command, ({ terminal, file }) => {
    const read = readSettings(process.env, file);
    const problems = read.problems.map(({ text }) => text);
    const settings = describeSettings(read);
    const rows = settings.map(({ key, value, source, env, meaning, problem }) => {
      return [key, value, source, env, problem === undefined ? meaning : terminal.paint('red', `WRONG: ${problem}`)];
    });
    const text = table(['setting', 'value', 'from', 'variable', 'meaning'], rows);
    const wrong = problems.length === 0 ? [] : ['', 'Wrong:', ...problems.map((one) => `  ${one}`)];
    terminal.answer({ settings, problems }, [text, ...wrong].join('\n'));
    if (problems.length > 0) process.exitCode = EXIT.failed;
    return Promise.resolve();
  });
}

interface ShownSetting {
  readonly key: string;
  readonly env: string;
  readonly value: string;
  readonly source: 'environment' | 'file' | 'override' | 'default';
  readonly default: string;
  readonly meaning: string;
  /** Why the value can't be taken; absent where it can. */
  readonly problem?: string;
}

/** All settings with what holds now, or the text that is wrong; of secrets only whether they are set. */
function describeSettings({ config, given, problems }: ReadSettings): ShownSetting[] {
  return Object.entries(SETTINGS).map(([key, setting]) => {
    const found = given.get(setting.path);
    const problem = problems.find(({ path }) => path === setting.path)?.text;
    const value = (config as Readonly<Record<string, unknown>>)[key];
    const shown = problem === undefined || found === undefined ? show(value) : found.text;
    const isSecret = setting.secret === true && !shown.startsWith('sqlite:');
    return {
      key: setting.path,
      env: setting.env,
      value: isSecret && shown !== '' ? '(set)' : shown,
      source: found?.source ?? 'default',
      default: setting.defaultText,
      meaning: setting.help,
      ...(problem === undefined ? {} : { problem }),
    };
  });
}

function show(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value);
}

export function addMigrate(program: Command): void {
  const command = program
    .command('migrate')
    .description(
      'Bring the schema of the directory up to date. A node does so at its start; here it can be done before.',
    )
    .addHelpText('after', `\nExamples:\n  vserver migrate\n\n${EXIT_CODES_HELP}`);
  act(command, async ({ terminal, config }) => {
    const steps = await withDirectory(config(), 'as-it-is', (directory) => directory.migrate());
    terminal.answer({ steps }, steps.length === 0 ? 'The schema is up to date.' : steps.join('\n'));
  });
}

export function addConfig(program: Command): void {
  const command = program
    .command('config')
    .argument('<uid>')
    .description(
      'Print the CONFIG document of a user. Passwords of VOIP accounts are left out: they are for him alone.',
    )
    .addHelpText(
      'after',
      `\nExamples:\n  vserver config 10017676\n  vserver config 10017676 --json\n\n${EXIT_CODES_HELP}`,
    );
  act(command, async ({ terminal, config }, [uid = '']) => {
    const { configOf } = await import('./by-directory.ts');
    const settings = config();
    const { etag, body } = await withDirectory(settings, 'need', (directory) => configOf(directory, settings, uid));
    const xml = body.toString('utf8');
    terminal.answer({ uid, etag, xml }, xml);
  });
}

type Session = Record<'uid' | 'instance' | 'status' | 'network' | 'wan' | 'loginAt' | 'seenAt', string | undefined>;

export function addSessions(program: Command): void {
  const command = program
    .command('sessions')
    .argument('[uid]', 'only those of this user')
    .description('List who is online on the running node, or the sessions of one user, wherever he is.')
    .option('--limit <n>', 'at most so many, up to 1000', '100')
    .option('--after <place>', 'go on where the page before ended')
    .addHelpText('after', `\nExamples:\n  vserver sessions\n  vserver sessions 10017676 --json\n\n${EXIT_CODES_HELP}`);
  act<{ limit: string; after?: string }>(command, async ({ terminal, config }, [uid], { limit, after }) => {
    if (!/^([1-9]\d{0,2}|1000)$/.test(limit)) {
      throw new CommandError(EXIT.usage, '--limit must be a number from 1 to 1000');
    }
    const query = new URLSearchParams({ limit, ...(after === undefined ? {} : { after }) });
    const path = uid === undefined ? `?${query.toString()}` : `/${encodeURIComponent(uid)}`;
    const page = await needNode(config()).call<{ sessions: Session[]; next: string | null; server?: string | null }>(
      'GET',
      `/v1/admin/sessions${path}`,
    );
    const columns = ['uid', 'status', 'network', 'wan', 'loginAt', 'seenAt', 'instance'] as const;
    const rows = page.sessions.map((session) => columns.map((column) => session[column] ?? ''));
    const more = page.next === null ? '' : `\nMore: vserver sessions --after ${page.next}`;
    const nobody = uid === undefined ? 'Nobody is online here.' : `No sessions of ${uid}.`;
    const where = typeof page.server !== 'string' ? '' : `\nServer: ${page.server}`;
    terminal.answer(page, (rows.length === 0 ? nobody : table(columns, rows) + more) + where);
  });
}

export function addServers(program: Command): void {
  const command = program
    .command('servers')
    .description('List the servers: as the running node sees them, or else as they stand in the directory.')
    .addHelpText('after', `\nExamples:\n  vserver servers\n  vserver servers --json\n\n${EXIT_CODES_HELP}`);
  act(command, async ({ terminal, config }) => {
    const settings = config();
    const node = findNode(settings);
    const { storedServers } = await import('./by-directory.ts');
    const { servers, nats } =
      node === null
        ? { servers: await withDirectory(settings, 'need', storedServers), nats: undefined }
        : await serversOf(node);
    const rows = servers.map((one) => [one.name, one.udp, one.http, one.state, `${one.users}/${one.usersMax}`]);
    const bus = nats === undefined ? '' : `\nNATS: ${nats.ok ? 'connected' : nats.detail}`;
    terminal.answer({ servers, nats }, table(['name', 'udp', 'http', 'state', 'users'], rows) + bus);
  });
}

/** As the node sees them, and the bus between them where there is one. */
async function serversOf(node: RunningNode) {
  const [{ servers }, { dependencies }] = await Promise.all([
    node.call<{ servers: ShownServer[] }>('GET', '/v1/admin/servers'),
    node.call<{ dependencies: { dependency: string; ok: boolean; detail: string }[] }>('GET', '/v1/admin/status'),
  ]);
  return { servers, nats: dependencies.find(({ dependency }) => dependency === 'nats') };
}
