/** `vserver import` and `vserver export`: LDIF in and out, straight to the directory. */
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Command } from 'commander';
import { Option } from 'commander';
import { systemClock } from '../base/system.ts';
import { exportLdif } from '../directory/export.ts';
import type { ImportBase, ImportProgress, ImportReport, ImportSource } from '../directory/import.ts';
import { importLdif } from '../directory/import.ts';
import { SETTINGS } from '../settings.ts';
import type { Context } from './context.ts';
import { act, missingFile, withDirectory } from './context.ts';
import { CommandError, EXIT, EXIT_CODES_HELP } from './failures.ts';
import type { Terminal } from './terminal.ts';

interface ImportOptions {
  readonly dryRun?: boolean;
  readonly onError: 'stop' | 'skip';
}

export function addImport(program: Command): void {
  const command = program
    .command('import')
    .argument('<file...>', 'LDIF files, in this order; - is stdin')
    .description(
      'Import LDIF into the directory, whichever it is: entries, and change records (add, modify, delete, modrdn). ' +
        'Missing parents are made; what is there already counts as unchanged, so an import can be run again.',
    )
    .option('-n, --dry-run', 'print what would be done; write nothing')
    .addOption(new Option('--on-error <what>', 'at a bad record').choices(['stop', 'skip']).default('stop'))
    .addHelpText('after', IMPORT_HELP);
  act<ImportOptions>(command, importFiles);
}

const IMPORT_HELP = `
Bad records are named as file:line on stderr. stop: what stands before the bad record is done, and nothing behind it; in
an LDAP directory skip is the faster one. A node that runs notices changed users within 60 s.

Examples:
  vserver import users.ldif --dry-run
  vserver import regions.ldif users.ldif --on-error skip
  zcat users.ldif.gz | vserver import -

${EXIT_CODES_HELP}`;

export function addExport(program: Command): void {
  const command = program
    .command('export')
    .argument('[file]', 'where to; stdout without it')
    .description('Write the whole directory as LDIF. Passwords and verifiers are in it: a file is made with mode 0600.')
    .addHelpText('after', EXPORT_HELP);
  act(command, async (context, [file]) => {
    const entries = await withDirectory(context.config(), 'need', (directory) =>
      file === undefined
        ? exportLdif(directory, (text) => written(process.stdout, text))
        : exportFile(file, (write) => exportLdif(directory, write)),
    );
    // On stdout stands the LDIF: nothing may follow it there.
    if (file !== undefined) context.terminal.answer({ entries, file }, `${entries} entries written to ${file}`);
    else if (process.stderr.isTTY) context.terminal.say(`${entries} entries`);
  });
}

const EXPORT_HELP = `
Examples:
  vserver export backup.ldif
  vserver export | gzip > backup.ldif.gz

${EXIT_CODES_HELP}`;

async function importFiles(
  { terminal, config }: Context,
  names: readonly string[],
  options: ImportOptions,
): Promise<void> {
  const { dryRun = false, onError } = options;
  const files = names.map(source);
  const read = config();
  // What is not there yet is empty.
  const settings = dryRun && missingFile(read.directory) !== null ? { ...read, directory: IN_MEMORY, state: '' } : read;
  const base = (await import('../backends.ts')).baseOf(settings);
  const given = { base, files, onProblem: onError, dryRun, clock: systemClock, progress: meter(terminal) };
  const report = await withDirectory(settings, dryRun ? 'need' : 'make', (directory) =>
    importLdif({ directory, ...given }),
  );
  terminal.progress('');
  for (const { file, line, dn, reason } of report.failures) {
    if (!terminal.json) terminal.say(`${file}:${line}: ${dn === '' ? '' : `${dn}: `}${reason}`);
  }
  if (report.outside !== null && !terminal.json) terminal.say(outsideText(report.outside, base));
  terminal.answer({ dryRun, ...report }, summary(report, dryRun));
  if (report.counts.failed > 0) process.exitCode = EXIT.failed;
}

const IN_MEMORY = 'sqlite::memory:';

/** Another base DN may be an oversight, or a tree that moves here from elsewhere. */
function outsideText(outside: NonNullable<ImportReport['outside']>, { dn, others }: ImportBase): string {
  const { records, file, line, dn: first } = outside;
  const done =
    others === 'taken'
      ? `they count as if they were. To keep their base DN, set ${SETTINGS.baseDn.env} to it`
      : `they are left out. The base DN stands in ${SETTINGS.directory.env}`;
  return `warning: ${records} records are not below the base DN ${dn} (the first: ${file}:${line}, ${first}): ${done}`;
}

function source(name: string): ImportSource {
  if (name === '-') return { name: 'stdin', stream: process.stdin, size: null };
  const size = statSync(name, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw new CommandError(EXIT.notFound, `${name}: no such file`);
  return { name, stream: createReadStream(name, { highWaterMark: 256 * 1024 }), size };
}

function meter(terminal: Terminal): (progress: ImportProgress) => void {
  const startMs = systemClock.now();
  return (progress) => {
    const { records, bytes, bytesTotal, recordsPerSecond } = progress;
    const rate = `${records} records, ${recordsPerSecond}/s`;
    if (bytesTotal === null || bytesTotal === 0) {
      terminal.progress(rate);
      return;
    }
    const share = Math.min(bytes / bytesTotal, 1);
    const restS = share === 0 ? 0 : Math.round(((systemClock.now() - startMs) / 1000) * (1 / share - 1));
    const bar = '#'.repeat(Math.round(share * BAR)).padEnd(BAR, '.');
    terminal.progress(`[${bar}] ${Math.round(share * 100)} %  ${rate}, ${restS} s left`);
  };
}
const BAR = 30;

function summary({ counts, plan, stopped }: ImportReport, dryRun: boolean): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  const counted = parts.length === 0 ? 'no records' : parts.map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  const total = parts.reduce((sum, [, count]) => sum + count, 0);
  const more = dryRun && total > plan.length ? [`… and ${total - plan.length} more`] : [];
  const end = stopped ? '; stopped at a bad record, nothing behind it is done (--on-error skip goes on)' : '';
  return [...plan, ...more, `${dryRun ? 'Dry run, nothing written: ' : ''}${counted}${end}`].join('\n');
}

async function exportFile(
  file: string,
  run: (write: (text: string) => Promise<void>) => Promise<number>,
): Promise<number> {
  const stream = createWriteStream(file, { mode: 0o600 });
  const closed = finished(stream);
  // Its failure is seen below; until then it must not count as unhandled.
  closed.catch(() => undefined);
  const entries = await run((text) => written(stream, text));
  stream.end();
  await closed;
  return entries;
}

function written(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
