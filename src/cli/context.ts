/** What every command is given: the terminal, the settings, the directory where it is asked for. */
import type { Command } from 'commander';
import { systemClock, systemTimers } from '../base/system.ts';
import type { Config } from '../config.ts';
import { loadConfig } from '../config.ts';
import type { Directory } from '../directory/directory.ts';
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
 * Runs with the directory of the settings, straight and without a node, and closes it. An embedded one is made, or
 * brought up to date, before (`asItIs`: not).
 */
export async function withDirectory<T>(
  config: Config,
  run: (directory: Directory) => Promise<T>,
  asItIs = false,
): Promise<T> {
  const [{ openDirectory }, { createLog }] = [await import('../backends.ts'), await import('../logger.ts')];
  const log = createLog(config.logLevel === 'debug' ? 'debug' : 'error');
  const directory = await openDirectory(config, { clock: systemClock, timers: systemTimers, log });
  try {
    if (!asItIs && config.directory.startsWith('sqlite:')) await directory.migrate();
    return await run(directory);
  } finally {
    await directory.close();
  }
}
