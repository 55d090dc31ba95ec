/** Line after line from a prompt, a pipe or --do, each answered, until somebody says quit. */
import { createInterface } from 'node:readline';
import type { Context } from '../context.ts';
import type { ExitCode } from '../failures.ts';
import { CommandError, EXIT, failureOf } from '../failures.ts';
import type { Answer, CommandPorts } from './commands.ts';
import { runLine } from './commands.ts';
import type { Softphone } from './softphone.ts';
import { SoftphoneError } from './softphone.ts';

/** Where the lines come from. */
export interface Source {
  readonly lines: AsyncIterator<string, unknown>;
  /** Asks for the next one, where somebody sees it. */
  readonly prompt: () => void;
  /** The first failure ends it, and a watch runs until Ctrl-C. */
  readonly strict: boolean;
}

/** At a terminal. */
export function typedLines(): Source {
  const reader = createInterface({ input: process.stdin, output: process.stderr, prompt: 'vserver> ' });
  // readline takes Ctrl-C for itself.
  reader.on('SIGINT', () => process.emit('SIGINT'));
  return {
    lines: reader[Symbol.asyncIterator](),
    prompt: () => {
      reader.prompt();
    },
    strict: false,
  };
}

export function pipedLines(): Source {
  const reader = createInterface({ input: process.stdin, crlfDelay: Infinity });
  return { lines: reader[Symbol.asyncIterator](), prompt: () => undefined, strict: false };
}

export function listedLines(commands: readonly string[]): Source {
  const iterator = commands[Symbol.iterator]();
  return { lines: { next: () => Promise.resolve(iterator.next()) }, prompt: () => undefined, strict: true };
}

/** Answers the lines, then logs out. `over`: the session was taken over. A second Ctrl-C ends the process at once. */
export async function talk(context: Context, phone: Softphone, source: Source, over: AbortSignal): Promise<void> {
  const { terminal } = context;
  const results: unknown[] = [];
  const show = ({ value, text }: Answer): void => {
    if (terminal.json) results.push(value);
    else terminal.answer(value, text);
  };
  const interrupt = new AbortController();
  const onSignal = (): void => {
    if (interrupt.signal.aborted) process.exit(130);
    interrupt.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const ended = AbortSignal.any([interrupt.signal, over]);
  try {
    await answerAll(context, phone, source, ended, show);
  } finally {
    await phone.logout();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  if (terminal.json) terminal.answer({ results }, '');
  if (over.aborted) throw new CommandError(EXIT.failed, 'logged in elsewhere: the session is over');
}

async function answerAll(
  context: Context,
  phone: Softphone,
  { lines, prompt, strict }: Source,
  ended: AbortSignal,
  show: (answer: Answer) => void,
): Promise<void> {
  const end = new Promise<undefined>((resolve) => {
    ended.addEventListener('abort', () => {
      resolve(undefined);
    });
  });
  prompt();
  let next = lines.next();
  while (!ended.aborted) {
    const line = await Promise.race([next, end]);
    if (line === undefined || line.done === true) return;
    next = lines.next();
    const watch = new AbortController();
    // At a prompt the next line ends a watch; in a list of commands it waits for its turn.
    if (!strict) void next.then(() => watch.abort());
    const until = AbortSignal.any([watch.signal, ended]);
    const answer = await answerOf(line.value, { phone, show, until }, context, strict);
    if (answer === undefined) return;
    show(answer);
    prompt();
  }
}

async function answerOf(
  line: string,
  ports: CommandPorts,
  { terminal }: Context,
  strict: boolean,
): Promise<Answer | undefined> {
  try {
    return await runLine(line, ports);
  } catch (error) {
    const known = commandError(error);
    const failure = failureOf(known);
    if (strict || failure === undefined) throw known;
    if (!terminal.json) terminal.say(failure.message);
    return { value: { error: { code: failure.code, message: failure.message } }, text: '' };
  }
}

/** What a server answered, as a failure of the command line; other errors as they are. */
export function commandError(error: unknown): unknown {
  if (!(error instanceof SoftphoneError)) return error;
  const { status, message } = error;
  const exitCode = EXIT_OF_STATUS[status] ?? EXIT.failed;
  const hint = status === 403 ? ': wrong uid or password, or one that is stored one-way only (log in over HTTPS)' : '';
  return new CommandError(exitCode, status === 0 ? message : `${status} ${message}${hint}`);
}

const EXIT_OF_STATUS: Readonly<Record<number, ExitCode>> = {
  0: EXIT.unreachable,
  403: EXIT.refused,
  404: EXIT.notFound,
  503: EXIT.unreachable,
};
