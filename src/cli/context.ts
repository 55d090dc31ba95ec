/** What every command is given: the terminal, the settings, the directory where it is asked for. */
import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemClock, systemTimers } from '../base/system.ts';
import type { Config } from '../config.ts';
import { loadConfig } from '../config.ts';
import type { Directory } from '../directory/directory.ts';
import { SETTINGS } from '../settings.ts';
import { CommandError, EXIT } from './failures.ts';
import type { Terminal } from './terminal.ts';
import { createTerminal } from './terminal.ts';

export interface Context {
  readonly terminal: Terminal;
  /** The settings file; undefined where none was named. */
  readonly file: string | undefined;
  /** Reads and checks the settings; throws SETTINGS. */
  readonly config: () => Config;
}

export type Action<O> = (context: Context, args: readonly string[], options: O) => Promise<void>;

/** Gives the command its action: `args` are the operands as typed. */
export function act<O extends object = object>(command: Command, run: Action<O>): Command {
  return command.action(async (...given: unknown[]) => {
    const self = given.at(-1) as Command;
    const { json = false, config } = self.optsWithGlobals<{ json?: boolean; config?: string }>();
    const context = { terminal: createTerminal(json), file: config, config: () => loadConfig(process.env, config) };
    await run(context, self.args, self.opts<O>());
  });
}

/**
 * What is done about an embedded directory that is not there, or of an older version: `make` makes it; with `need` it has
 * to be there; both bring it up to date. `as-it-is`: nothing.
 */
type Embedded = 'make' | 'need' | 'as-it-is';

/** Runs with the directory of the settings, straight and without a node, and closes it. */
export async function withDirectory<T>(
  config: Config,
  embedded: Embedded,
  run: (directory: Directory) => Promise<T>,
): Promise<T> {
  const missing = embedded === 'need' ? (missingFile(config.directory) ?? missingFile(config.state)) : null;
  if (missing !== null) {
    const remedy = `go to the folder where the node was started, set ${SETTINGS.data.env} (or --config) as it has`;
    throw new CommandError(
      EXIT.unreachable,
      `there is no directory here (looked for ${missing}): ${remedy}, or make one by vserver migrate`,
    );
  }
  const [{ openDirectory }, { createLog }] = [await import('../backends.ts'), await import('../logger.ts')];
  const log = createLog(config.logLevel === 'debug' ? 'debug' : 'error');
  const directory = await openDirectory(config, { clock: systemClock, timers: systemTimers, log });
  try {
    if (embedded !== 'as-it-is' && config.directory.startsWith('sqlite:')) await directory.migrate();
    return await run(directory);
  } finally {
    await directory.close();
  }
}

/** The file of an embedded directory that is not there, as a whole path; null where nothing is missing. */
export function missingFile(directory: string): string | null {
  const path = directory.startsWith(SQLITE) ? directory.slice(SQLITE.length) : ':memory:';
  return path === ':memory:' || existsSync(path) ? null : resolve(path);
}
const SQLITE = 'sqlite:';
