/** node.json: how the command line finds the node that runs on a data folder, whatever settings it was started with. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Address } from './base/model.ts';

export interface RunFile {
  readonly pid: number;
  /** See startOfProcess(). */
  readonly processStart: string | null;
  /** As it is told to others. */
  readonly http: string;
  /** `http://host:port`, or https, where it is reached on this machine. */
  readonly local: string;
  /** The file of its certificate; '' without HTTPS. */
  readonly certFile: string;
  /** Whether its admin token is in the settings, or in the data folder. */
  readonly adminToken: 'set' | 'in data folder';
  readonly udp: Address;
  readonly sip: Address;
  /** Epoch milliseconds. */
  readonly startedAt: number;
}

/** Readable by its owner only. */
export function runFilePath(data: string): string {
  return join(data, 'node.json');
}

/**
 * null where there is none, or one that no node has written; that of another user too, since the admin token goes where it
 * says. Root believes all. `me`: the number of who asks; 0 where users have none.
 */
export function readRunFile(data: string, me = process.getuid?.() ?? 0): RunFile | null {
  try {
    if (me !== 0 && statSync(runFilePath(data)).uid !== me) return null;
    const run = JSON.parse(readFileSync(runFilePath(data), 'utf8')) as Partial<RunFile> | null;
    const isWhole = typeof run?.pid === 'number' && run.http !== undefined && run.local !== undefined;
    return isWhole ? (run as RunFile) : null;
  } catch {
    return null;
  }
}
