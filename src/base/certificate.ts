/** TLS from files: a renewed certificate is taken without a restart, a broken one is not taken. */
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { VserverError } from './errors.ts';
import type { Log, Pem, Timers } from './ports.ts';

const LOOK_MS = 5_000;

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Rejects with SETTINGS where the files can't be read or don't fit one another. */
export async function readPem({ certFile, keyFile }: TlsFiles): Promise<Pem> {
  try {
    const pem = { cert: await readFile(certFile), key: await readFile(keyFile) };
    createSecureContext(pem);
    return pem;
  } catch (error) {
    throw new VserverError('SETTINGS', `the certificate ${certFile} with its key ${keyFile} can't be used`, {
      cause: error,
    });
  }
}

/** Looks at the files now and then and hands over what is new; answers how to end it. */
export function watchCertificate(files: TlsFiles, timers: Timers, log: Log, take: (pem: Pem) => void): () => void {
  let known: string | undefined;
  let busy = false;
  const look = async (): Promise<void> => {
    const seen = await stamp(files);
    const first = known === undefined;
    if (seen === known) return;
    known = seen;
    // What the server started with was read just before.
    if (first) return;
    try {
      take(await readPem(files));
      log.info({ file: files.certFile }, 'renewed certificate taken');
    } catch (error) {
      log.warn({ err: error, file: files.certFile }, 'new certificate not usable, the old one stays');
    }
  };
  const tick = (): void => {
    if (busy) return;
    busy = true;
    void look().finally(() => {
      busy = false;
    });
  };
  tick();
  const timer = timers.every(LOOK_MS, tick);
  return () => {
    timer.cancel();
  };
}

/** Changes with either file; a missing file is a stamp of its own. */
async function stamp({ certFile, keyFile }: TlsFiles): Promise<string> {
  const times = await Promise.all(
    [certFile, keyFile].map((file) =>
      stat(file).then(
        ({ mtimeMs, ino, size }) => `${mtimeMs}/${ino}/${size}`,
        () => 'missing',
      ),
    ),
  );
  return times.join(' ');
}
