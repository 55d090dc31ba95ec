/** What the use cases answer, as replies of the protocol: verb, argument, headers and body. */
import { formatAddress } from '../base/address.ts';
import { ERRORS, VserverError } from '../base/errors.ts';
import type { ServerRecord } from '../base/model.ts';
import type { Device } from '../heartbeat/online.ts';
import type { Located } from '../locator/locate.ts';
import type { Headers, ReplyVerb } from './encode.ts';
import type { Refusal } from './outbound.ts';

export interface ReplyText {
  readonly verb: ReplyVerb;
  readonly argument: string;
  readonly headers?: Headers;
  readonly body?: string;
}

/** `ticket`: for the server that a `SeeAlso` names. */
export function locatedReply(located: Located, ticketFor: (server: ServerRecord) => string): ReplyText {
  switch (located.kind) {
    case 'user':
      return userReply(located);
    case 'see-also':
      return {
        verb: 'SeeAlso',
        argument: formatAddress(located.server.udp),
        headers: { ticket: ticketFor(located.server) },
      };
    case 'offline':
      return {
        verb: 'Offline',
        argument: located.uid,
        headers: { 'last-seen': located.lastSeen === null ? undefined : new Date(located.lastSeen).toISOString() },
      };
    case 'unknown':
      return errorReply(new VserverError('NO_SUCH_USER'));
  }
}

export function errorReply(error: VserverError): ReplyText {
  const { status, reason, retryAfter } = refusalOf(error);
  return { verb: 'Error', argument: `${status} ${reason}`, headers: { 'retry-after': retryAfter } };
}

/** 429 and 503 always say when to try again. */
export function refusalOf({ code, status, retryAfter }: VserverError): Refusal {
  const passes = status === 429 || status === 503;
  return { status, reason: ERRORS[code].reason, retryAfter: retryAfter ?? (passes ? RETRY_AFTER_S : undefined) };
}
const RETRY_AFTER_S = 5;

/** A line a server: name, ip:port, state, users, max-users. */
export function serversReply(servers: readonly ServerRecord[]): ReplyText {
  const lines = servers.map(
    ({ name, udp, state, users, usersMax }) =>
      `${name.replaceAll(' ', '_')} ${formatAddress(udp)} ${state} ${users} ${usersMax}\r\n`,
  );
  return { verb: 'Servers', argument: String(servers.length), body: lines.join('') };
}

function userReply(located: Extract<Located, { kind: 'user' }>): ReplyText {
  const [first] = located.devices;
  const { showAddresses: show } = located;
  return {
    verb: 'User',
    argument: located.uid,
    headers: {
      alias: given(located.alias),
      status: first.status,
      note: given(first.note),
      network: first.network,
      firewall: first.firewall,
      wan: show ? wanOf(first) : undefined,
      local: show && first.local !== null ? formatAddress(first.local) : undefined,
      telephone: given(located.telephones.join(';')),
      device: given(first.device),
      sip: show ? located.devices.find((device) => device.contact !== '')?.contact : undefined,
    },
    body: located.devices.length === 1 ? '' : located.devices.map((device) => deviceLine(device, show)).join(''),
  };
}

/** `status network firewall wan local sip instance`, `-` for what is not there or not to be seen. */
function deviceLine(device: Device, show: boolean): string {
  const local = device.local === null ? '' : formatAddress(device.local);
  const fields = [
    ...[device.status, device.network, device.firewall, show ? wanOf(device) : '', show ? local : ''],
    ...[show ? device.contact : '', device.instance.replaceAll(' ', '_')],
  ];
  return `${fields.map((field) => field || '-').join(' ')}\r\n`;
}

/** Of a session known over HTTP only, nobody can be reached at its port 0; it is said all the same. */
function wanOf(device: Device): string {
  return formatAddress(device.wan);
}

function given(text: string): string | undefined {
  return text === '' ? undefined : text;
}
