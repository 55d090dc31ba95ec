/** `vserver user …`: administration of users. */
import type { Command } from 'commander';
import { Option } from 'commander';
import type { SearchField } from '../directory/directory.ts';
import { SEARCH_FIELDS } from '../directory/directory.ts';
import type { Config } from '../config.ts';
import { act } from './context.ts';
import { CommandError, EXIT, EXIT_CODES_HELP } from './failures.ts';
import { FIELDS_HELP, list, readChanges } from './fields.ts';
import { askPassword } from './password.ts';
import { outline, table } from './terminal.ts';
import type { ShownUser, Users } from './users.ts';

/** Loaded when it is needed: most commands do without. */
async function withUsers<T>(config: Config, embedded: 'make' | 'need', run: (users: Users) => Promise<T>): Promise<T> {
  return (await import('./users.ts')).withUsers(config, embedded, run);
}

const PASSWORD_STDIN = ['--password-stdin', 'the password is the first line of stdin'] as const;
const NO_PASSWORD = '--no-password';
const LIMIT_MAX = 1000;

export function addUser(program: Command): void {
  const user = program
    .command('user')
    .description('Administer users: through the running node, or straight in the directory where none runs.')
    .addHelpText(
      'after',
      `\nExamples:\n  vserver user list\n  vserver user add 10017677 alias="Zhang San" --region china\n  vserver user show 10017677\n\n${EXIT_CODES_HELP}`,
    );
  addAdd(user);
  addShow(user);
  addSet(user);
  addPasswd(user);
  addDel(user);
  addList(user);
}

interface AddOptions {
  readonly alias?: string;
  readonly region?: string;
  readonly countryCode?: string;
  readonly telephone?: string[];
  readonly mail?: string[];
  readonly passwordStdin?: boolean;
  /** false: --no-password. */
  readonly password: boolean;
}

function addAdd(user: Command): void {
  const command = user
    .command('add')
    .argument('<uid>')
    .argument('[field=value...]')
    .description('Make a user. His password is asked for, and stored one-way with the verifiers that Digest needs.')
    .option('--alias <name>', 'the name that others see')
    .option('--region <name>', 'where he stands in the tree; made where it is missing')
    .option('--country-code <digits>', 'of a region that is made')
    .option('--telephone <number>', 'can be given several times', collect)
    .option('--mail <address>', 'can be given several times', collect)
    .option(...PASSWORD_STDIN)
    .option(NO_PASSWORD, 'without a password: he can not log in until one is set')
    .addHelpText('after', ADD_HELP);
  act<AddOptions>(command, async ({ terminal, config }, [uid = '', ...fields], options) => {
    const settings = config();
    const changes = readChanges(fields);
    const { alias, region, countryCode, telephone, mail } = options;
    const body = {
      ...changes,
      uid,
      ...(alias === undefined ? {} : { basic: { ...changes.basic, alias } }),
      contact: {
        ...changes.contact,
        ...(telephone === undefined ? {} : { telephones: telephone }),
        ...(mail === undefined ? {} : { mails: mail }),
      },
      ...(region === undefined ? {} : { region }),
      ...(countryCode === undefined ? {} : { countryCode }),
    };
    const password = options.password
      ? await askPassword(`Password of ${uid}`, options.passwordStdin ?? false, true)
      : undefined;
    const made = await withUsers(settings, 'make', (users) =>
      users.create({ ...body, ...(password === undefined ? {} : { password }) }),
    );
    terminal.answer(made, `${uid} is made: ${String(made['dn'])}`);
  });
}

function collect(one: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), ...list(one)];
}

const ADD_HELP = `
${FIELDS_HELP}

Examples:
  vserver user add 10017677 --alias "Zhang San" --region china --telephone "+86 10 5550 7677"
  pwgen 16 1 | vserver user add 10017677 devicesMax=2 --password-stdin

${EXIT_CODES_HELP}`;

function addShow(user: Command): void {
  const command = user
    .command('show')
    .argument('<uid>')
    .description('Show a user. Secrets are not shown, only whether they are there.')
    .addHelpText(
      'after',
      `\nExamples:\n  vserver user show 10017676\n  vserver user show 10017676 --json\n\n${EXIT_CODES_HELP}`,
    );
  act(command, async ({ terminal, config }, [uid = '']) => {
    const shown = await withUsers(config(), 'need', (users) => users.show(uid));
    terminal.answer(shown, outline(shown));
  });
}

function addSet(user: Command): void {
  const command = user
    .command('set')
    .argument('<uid>')
    .argument('<field=value...>')
    .description('Change fields of a user; the others stay. With a running node it takes effect at once.')
    .addHelpText('after', SET_HELP);
  act(command, async ({ terminal, config }, [uid = '', ...fields]) => {
    const changes = readChanges(fields);
    const shown = await withUsers(config(), 'need', (users) => users.change(uid, changes));
    terminal.answer(shown, outline(shown));
  });
}

const SET_HELP = `
${FIELDS_HELP}

Examples:
  vserver user set 10017676 alias="Li Wei" city=Beijing
  vserver user set 10017676 buddies=10043939,10055501 blocked=
  vserver user set 10017676 enabled=no
  vserver user set 10017676 xmlext=@theme.xml voip='[{"type":"SIP","e164":"861055507676"}]'

${EXIT_CODES_HELP}`;

function addPasswd(user: Command): void {
  const command = user
    .command('passwd')
    .argument('<uid>')
    .description('Set the password of a user. His sessions end: at once with a running node, else within 60 s.')
    .option(...PASSWORD_STDIN)
    .addHelpText(
      'after',
      `\nExamples:\n  vserver user passwd 10017676\n  pwgen 16 1 | vserver user passwd 10017676 --password-stdin\n\n${EXIT_CODES_HELP}`,
    );
  act<{ passwordStdin?: boolean }>(command, async ({ terminal, config }, [uid = ''], { passwordStdin = false }) => {
    const settings = config();
    const password = await askPassword(`New password of ${uid}`, passwordStdin, true);
    await withUsers(settings, 'need', (users) => users.change(uid, { password }));
    terminal.answer({ uid, changed: true }, `The password of ${uid} is set.`);
  });
}

function addDel(user: Command): void {
  const command = user
    .command('del')
    .argument('<uid...>')
    .description('Remove users with their accounts and lists. Their sessions end.')
    .addHelpText('after', `\nExamples:\n  vserver user del 10017677\n\n${EXIT_CODES_HELP}`);
  act(command, async ({ terminal, config }, uids) => {
    await withUsers(config(), 'need', async (users) => {
      for (const uid of uids) await users.remove(uid);
    });
    terminal.answer({ removed: uids }, `Removed: ${uids.join(', ')}`);
  });
}

interface ListOptions {
  readonly by: SearchField;
  readonly limit: string;
  readonly after?: string;
}

function addList(user: Command): void {
  const command = user
    .command('list')
    .argument('[prefix]', 'what the field begins with', '')
    .description('List users, or search them by the beginning of a field, page by page.')
    .addOption(new Option('--by <field>', 'the field to search').choices(SEARCH_FIELDS).default('uid'))
    .option('--limit <n>', `at most so many, up to ${LIMIT_MAX}`, '100')
    .option('--after <place>', 'go on where the page before ended')
    .addHelpText(
      'after',
      `\nExamples:\n  vserver user list 1001\n  vserver user list "Li" --by alias --json\n\n${EXIT_CODES_HELP}`,
    );
  act<ListOptions>(command, async ({ terminal, config }, [prefix = ''], { by, limit, after }) => {
    const most = Number(limit);
    if (!Number.isInteger(most) || most < 1 || most > LIMIT_MAX) {
      throw new CommandError(EXIT.usage, `--limit must be a number from 1 to ${LIMIT_MAX}`);
    }
    const page = await withUsers(config(), 'need', (users) => users.search({ field: by, prefix, limit: most, after }));
    const more = page.next === null ? '' : `\nMore: the same with --after '${page.next}'`;
    terminal.answer(page, table(['uid', 'region', 'alias', 'telephones', 'enabled'], page.users.map(row)) + more);
  });
}

function row(user: ShownUser): string[] {
  const { basic, contact, service } = user as {
    basic?: { alias?: string };
    contact?: { telephones?: string[] };
    service?: { enabled?: boolean };
  };
  return [
    String(user['uid']),
    String(user['region']),
    basic?.alias ?? '',
    contact?.telephones?.join(', ') ?? '',
    service?.enabled === false ? 'no' : 'yes',
  ];
}
