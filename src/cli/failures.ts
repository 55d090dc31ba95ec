/** How commands fail: exit codes and the messages that go with them. */
import { VserverError } from '../base/errors.ts';

export const EXIT = { ok: 0, failed: 1, usage: 2, notFound: 3, unreachable: 4, refused: 5 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  failed, or something was found to be wrong
  2  wrong usage or wrong settings
  3  no such user or thing
  4  the node, the server or the directory can't be reached
  5  refused: wrong password, or not permitted`;

/** A failure of the command line itself; others are VserverErrors. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exitCode: ExitCode;
}

/** What to tell of any error; undefined where nobody expected it. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof CommandError) {
    return { code: CODES[error.exitCode], message: error.message, exitCode: error.exitCode };
  }
  if (error instanceof VserverError) {
    return { code: error.code, message: error.message, exitCode: exitCodeOf(error) };
  }
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    return { code: String(error.code), message: error.message, exitCode: EXIT.failed };
  }
  return undefined;
}

const CODES: Record<ExitCode, string> = {
  0: 'OK',
  1: 'FAILED',
  2: 'USAGE',
  3: 'NOT_FOUND',
  4: 'UNREACHABLE',
  5: 'REFUSED',
};

function exitCodeOf(error: VserverError): ExitCode {
  if (error.code === 'SETTINGS' || error.code === 'BAD_REQUEST') return EXIT.usage;
  if (error.status === 404) return EXIT.notFound;
  if (error.status === 503) return EXIT.unreachable;
  return error.status === 401 || error.status === 403 ? EXIT.refused : EXIT.failed;
}
