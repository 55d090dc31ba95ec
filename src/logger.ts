/** The log of the process, by pino: one JSON line an event on stderr, so that stdout is for answers. */
import { destination, pino, stdTimeFunctions } from 'pino';
import type { Log } from './base/ports.ts';

/** Whatever is called like a secret is never written, whoever passes it. */
const SECRETS = ['password', 'secret', 'token', 'key', 'cookie', 'mac', 'proof', 'authorization'];

export function createLog(level: string): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
    },
    destination({ fd: 2, sync: false }),
  );
}
