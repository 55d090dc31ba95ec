/** The secrets that a node makes for itself: one file each in the data folder, readable by its owner only. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VserverError } from './base/errors.ts';
import type { Random } from './base/ports.ts';
import { SETTINGS } from './settings.ts';

const SECRET_BYTES = 24;

export interface Secrets {
  readonly adminToken: string;
  readonly clusterKey: string;
  /** The cluster key was made here and not set: no other node knows it. */
  readonly clusterKeyIsOwn: boolean;
}

/** Makes the data folder (0700) and what is missing in it. Throws SETTINGS where it can't be used. */
export function ensureSecrets(
  config: { data: string; adminToken: string; clusterKey: string },
  random: Random,
): Secrets {
  try {
    mkdirSync(config.data, { recursive: true, mode: 0o700 });
    return {
      adminToken: config.adminToken || ensureSecret(adminTokenPath(config.data), random),
      clusterKey: config.clusterKey || ensureSecret(join(config.data, 'cluster-key'), random),
      clusterKeyIsOwn: config.clusterKey === '',
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    throw new VserverError('SETTINGS', `the data folder can't be used (${reason}): set ${SETTINGS.data.env}`, {
      cause: error,
    });
  }
}

/** Where a generated admin token stands; the command line reads it there. */
export function adminTokenPath(data: string): string {
  return join(data, 'admin-token');
}

function ensureSecret(path: string, random: Random): string {
  try {
    const secret = readFileSync(path, 'utf8').trim();
    chmodSync(path, 0o600);
    if (secret !== '') return secret;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const secret = random.bytes(SECRET_BYTES).toString('base64url');
  writeFileSync(path, `${secret}\n`, { mode: 0o600 });
  return secret;
}
