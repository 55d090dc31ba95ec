/** All commands, and how they end. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addCheck } from './check.ts';
import { addClient } from './client/command.ts';
import { addDrain } from './drain.ts';
import { EXIT, EXIT_CODES_HELP, failureOf } from './failures.ts';
import type { Failure } from './failures.ts';
import { addExport, addImport } from './ldif.ts';
import { addLocate } from './locate.ts';
import { addConfig, addMigrate, addServers, addSessions, addSettings } from './show.ts';
import { addStart } from './start.ts';
import { addStop } from './stop.ts';
import { addUser } from './user.ts';

/** Runs one command line (without node and script); answers its exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    await program.parseAsync(argv, { from: 'user' });
    // A command says by the process's exit code that it found something.
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    const failure = error instanceof CommanderError ? usageFailure(error) : failureOf(error);
    if (failure === undefined) throw error;
    tell(failure, argv.includes('--json'));
    return failure.exitCode;
  }
}

function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('vserver')
    .description(
      'Knows, for a telephone system, who its users are, where they are right now, and what to tell their phones.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .option('--config <file>', 'settings file (YAML); environment variables VSERVER_… win over it')
    .option('--json', 'the answer as one JSON document on stdout, errors as JSON on stderr')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  addStart(program);
  addStop(program);
  addDrain(program);
  addCheck(program);
  addSettings(program);
  addMigrate(program);
  addImport(program);
  addExport(program);
  addUser(program);
  addLocate(program);
  addConfig(program);
  addSessions(program);
  addServers(program);
  addClient(program);
  return program.addHelpText('after', HELP);
}

const HELP = `
Commands that need a running node find it by the data folder (VSERVER_DATA, or data below the current folder).
user, locate and config ask the directory where no node runs. Of the commands only start, migrate, import and user add
make an embedded directory where there is none.

Examples:
  vserver start                                  a node with the settings of the environment
  vserver start --config vserver.yaml            … of a file
  vserver check                                  what is wrong, and how to mend it
  vserver import users.ldif --dry-run            what an import would do
  vserver user add 10017676 alias="Li Wei"       asks for the password
  vserver locate 10017676 --explain              where is he, and how do we know
  vserver client login 10017676                  be a softphone, at a prompt

${EXIT_CODES_HELP}`;

function usageFailure(error: CommanderError): Failure {
  // Without a command the help was written: there is nothing to add.
  const message = error.code === 'commander.help' ? '' : error.message.replace(/^error: /, '');
  return { code: 'USAGE', message, exitCode: EXIT.usage };
}

function tell({ code, message, exitCode }: Failure, json: boolean): void {
  if (json) process.stderr.write(`${JSON.stringify({ error: { code, message, exitCode } })}\n`);
  else if (message !== '') process.stderr.write(`vserver: ${message}\n`);
}
