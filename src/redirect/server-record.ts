/** Reads what somebody else wrote as a server record: of another node over the bus, or of anybody in the directory. */
import { isIP } from 'node:net';
import type { Address, ServerRecord } from '../base/model.ts';
import { SERVER_STATES } from '../base/model.ts';

const USERS_MAX = 1_000_000_000;
const TEXT_LENGTH_MAX = 255;

/** null where a value makes no sense: nobody is redirected by such a record. */
export function readServerRecord(value: unknown): ServerRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const { name, udp, http, sip, state, users, usersMax, startedAt, seenAt, version } = value as Record<string, unknown>;
  const known = SERVER_STATES.find((one) => one === state);
  if (!isText(name) || name === '' || !isAddress(udp) || !isText(http) || known === undefined) return null;
  if (http !== '' && !/^https?:\/\/[^\s]+$/.test(http)) return null;
  if (sip !== null && !isAddress(sip)) return null;
  if (!isCount(users, 0) || !isCount(usersMax, 1) || !isTime(startedAt) || !isTime(seenAt)) return null;
  if (!isText(version)) return null;
  return {
    name,
    udp: { host: udp.host, port: udp.port },
    http,
    sip: sip === null ? null : { host: sip.host, port: sip.port },
    ...{ state: known, users, usersMax, startedAt, seenAt, version },
  };
}

/** The version without its build metadata (semver.org, item 10), which is for the other nodes only: see join.ts. */
export function releaseOf(version: string): string {
  return version.split('+', 1)[0] ?? '';
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TEXT_LENGTH_MAX && !/\p{Cc}/u.test(value);
}

function isAddress(value: unknown): value is Address {
  if (typeof value !== 'object' || value === null) return false;
  const { host, port } = value as Partial<Record<keyof Address, unknown>>;
  return typeof host === 'string' && isIP(host) !== 0 && isInteger(port) && port > 0 && port < 65_536;
}

function isCount(value: unknown, min: number): value is number {
  return isInteger(value) && value >= min && value <= USERS_MAX;
}

function isTime(value: unknown): value is number {
  return isInteger(value) && value >= 0;
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
