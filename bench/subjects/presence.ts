/** What a published state costs that ten others watch, against Kamailio's presence server; the memory of subscriptions. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { REALM } from '../client.ts';
import { joined } from '../load.ts';
import type { Loaded } from '../load.ts';
import { authorize, measurePhones, request, send } from '../phones.ts';
import type { Phones } from '../phones.ts';
import { format } from '../report.ts';
import type { Row } from '../report.ts';
import type { Run, Subject } from '../subject.ts';
import { uidOf } from '../users.ts';

const USERS = 3_000;
const WATCHERS = 10;
/** PUBLISHes under way: ten times as many NOTIFYs are, which have to find room in the server's socket. */
const WINDOW = 32;
/** Of all users, a run: a single one takes a second, a good part of which may be one collection of garbage. */
const ROUNDS = 2;
/** No watcher is told twice within it (RFC 3856 6.10). */
const PAUSE_MS = 5_500;

export const presence: readonly Subject[] = [
  {
    name: 'sip-publish',
    measure: (run) => {
      const etags = new Map<Phones, readonly string[]>();
      return measurePhones(run, {
        subject: `PUBLISH with ${WATCHERS} watchers, Digest, one core`,
        unit: 'PUBLISHes a CPU second',
        ratioMin: 0.5,
        role: 'presence',
        env: {},
        users: USERS,
        prepare: subscribeAll,
        async run(phones) {
          const parts: Loaded[] = [];
          for (let round = 0; round < ROUNDS; round++) {
            if (round > 0) phones.round++;
            await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
            const published = await publishAll(phones, etags.get(phones));
            etags.set(phones, published.samples.map(etagOf));
            parts.push(published);
          }
          return joined(parts);
        },
        notes: [`each changes the state of its user: ${WATCHERS} NOTIFYs, answered 200`],
      });
    },
  },
  { name: 'memory-subscriptions', measure: memory },
];

/** Each user is watched by the next ones. */
async function subscribeAll(phones: Phones): Promise<void> {
  const requests = Array.from({ length: phones.users * WATCHERS }, (_, index) => {
    // A nonce-count is good once a user.
    if (index % phones.users === 0) phones.round++;
    const user = index % phones.users;
    const from = uidOf((user + 1 + Math.floor(index / phones.users)) % phones.users);
    const to = uidOf(user);
    const uri = `sip:${to}@${REALM}`;
    const lines =
      `${authorize(phones, 'SUBSCRIBE', uri, from)}Contact: <sip:${from}@127.0.0.1:${phones.port}>\r\nEvent: presence\r\nExpires: 3600\r\n` +
      'Accept: application/pidf+xml\r\n';
    return request(phones, { method: 'SUBSCRIBE', uri, from, to, index }, lines);
  });
  await send(phones, { requests, brings: 1 });
}

/** Every user once, with the entity-tags of the round before. */
function publishAll(phones: Phones, etags: readonly string[] | undefined): Promise<Loaded> {
  const activity = phones.round % 2 === 0 ? 'busy' : 'away';
  const requests = Array.from({ length: phones.users }, (_, index) => {
    const uid = uidOf(index);
    const uri = `sip:${uid}@${REALM}`;
    const match = etags === undefined ? '' : `SIP-If-Match: ${etags[index] ?? ''}\r\n`;
    const lines =
      `${authorize(phones, 'PUBLISH', uri, uid)}Event: presence\r\nExpires: 3600\r\n${match}` +
      'Content-Type: application/pidf+xml\r\n';
    return request(phones, { method: 'PUBLISH', uri, from: uid, to: uid, index }, lines, documentOf(uid, activity));
  });
  return send(phones, { requests, brings: WATCHERS, window: WINDOW, sampleEvery: 1 });
}

function documentOf(uid: string, activity: string): string {
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" ' +
    'xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" ' +
    `entity="sip:${uid}@${REALM}">\r\n<tuple id="t${uid}"><status><basic>open</basic></status></tuple>\r\n` +
    `<dm:person id="p${uid}"><rpid:activities><rpid:${activity}/></rpid:activities></dm:person>\r\n</presence>\r\n`
  );
}

function etagOf(answer: Buffer): string {
  return /\r\nSIP-ETag: ([^\r]+)\r\n/.exec(answer.toString('latin1'))?.[1] ?? '';
}

async function memory(run: Run): Promise<Row[]> {
  const [few, many] = run.quick ? [2_000, 10_000] : [20_000, 100_000];
  const slopes: number[] = [];
  const whole: number[] = [];
  for (let rep = 0; rep < run.reps; rep++) {
    const data = await mkdtemp(join(run.folder, 'subscriptions-'));
    const env = { VSERVER_DATA: data, VSERVER_DIRECTORY: 'sqlite::memory:' };
    const child = await startChild('subscriptions', { cores: '0', node: ['--expose-gc'], env });
    try {
      const before = await child.ask<number>('residentBytes');
      await child.ask('subscribe', { until: few });
      const atFew = await child.ask<number>('residentBytes');
      await child.ask('subscribe', { until: many });
      const atMany = await child.ask<number>('residentBytes');
      slopes.push((atMany - atFew) / (many - few));
      whole.push((atMany - before) / 2 ** 20);
    } finally {
      await child.stop();
    }
  }
  return [
    {
      subject: `resident memory, ${format(many)} subscriptions of SIP phones`,
      unit: `bytes a subscription, slope from ${format(few)}`,
      ours: slopes,
      reference: null,
      goal: null,
      notes: [`growth since there was none: ${whole.map(format).join(', ')} MiB`, `${WATCHERS} watchers a user`],
    },
  ];
}
