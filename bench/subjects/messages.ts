/** Calls and messages from one registered telephone to another, sent on by the server, against Kamailio. */
import { REALM } from '../client.ts';
import type { Loaded } from '../load.ts';
import { authorize, measurePhones, request, send } from '../phones.ts';
import type { Phones } from '../phones.ts';
import { SDP } from '../sip-client.ts';
import type { Subject } from '../subject.ts';
import { uidOf } from '../users.ts';

const USERS = 1_000;
const TEXT = 'Shall we meet at seven, in front of the station?';

export const messages: readonly Subject[] = [
  {
    name: 'sip-call',
    measure: (run) =>
      measurePhones(run, {
        subject: 'calls through the proxy, Digest, one core',
        unit: 'calls a CPU second',
        ratioMin: 0.5,
        role: 'proxy',
        env: { VSERVER_SIP_CALLS: 'proxy' },
        users: USERS,
        run: (phones, isQuick) => call(phones, isQuick ? 1_000 : 20_000),
        notes: ['each: INVITE with Digest, 180, 200, ACK, BYE, 200, all of them by Record-Route'],
      }),
  },
  {
    name: 'sip-message',
    measure: (run) =>
      measurePhones(run, {
        subject: 'MESSAGE from phone to phone, Digest, one core',
        unit: 'messages a CPU second',
        ratioMin: 0.5,
        role: 'proxy',
        env: {},
        users: USERS,
        run: (phones, isQuick) => message(phones, isQuick ? 2_000 : 30_000),
        notes: ['Kamailio sends on the request, ours makes one of its own'],
      }),
  },
];

/** INVITE, ACK and BYE reach the other phone. */
function call(phones: Phones, count: number): Promise<Loaded> {
  const requests = Array.from({ length: count }, (_, index) => {
    // A nonce-count is good once a user.
    if (index % phones.users === 0) phones.round++;
    const { from, to, uri } = pair(phones, index);
    const lines = `${authorize(phones, 'INVITE', uri, from)}Contact: <sip:${from}@127.0.0.1:${phones.port}>\r\nContent-Type: application/sdp\r\n`;
    return request(phones, { method: 'INVITE', uri, from, to, index }, lines, SDP);
  });
  return send(phones, { requests, brings: 3 });
}

async function message(phones: Phones, count: number): Promise<Loaded> {
  const requests = Array.from({ length: count }, (_, index) => {
    // A nonce-count is good once a user.
    if (index % phones.users === 0) phones.round++;
    const { from, to, uri } = pair(phones, index);
    const lines = `${authorize(phones, 'MESSAGE', uri, from)}Content-Type: text/plain\r\n`;
    return request(phones, { method: 'MESSAGE', uri, from, to, index }, lines, TEXT);
  });
  return send(phones, { requests, brings: 1 });
}

function pair({ users }: Phones, index: number): { readonly from: string; readonly to: string; readonly uri: string } {
  const to = uidOf((index + 1) % users);
  return { from: uidOf(index % users), to, uri: `sip:${to}@${REALM}` };
}
