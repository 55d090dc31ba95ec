/**
 * The express lane answers as the others would. The slow, obvious way for the same request: its verb in lower case, which
 * means the same, but is out of the ordinary.
 */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../src/base/address.ts';
import type { Address } from '../../src/base/model.ts';
import { AUDIENCES, FIREWALLS, NO_FORWARDING, STATUSES } from '../../src/base/model.ts';
import type { DatagramSocket } from '../../src/base/ports.ts';
import { macOf } from '../../src/login/proof.ts';
import { contextOf } from '../../src/udp/context.ts';
import { createExpress } from '../../src/udp/express.ts';
import { settle } from '../support/clock.ts';
import { udpNode } from '../support/udp-node.ts';

const HERE: Address = { host: '10.0.0.7', port: 5000 };
const ELSEWHERE: Address = { host: '10.0.0.7', port: 5001 };

const text = (maxLength: number) =>
  fc.oneof(
    fc.constant(''),
    fc.tuple(fc.nat(maxLength), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 })).map(([length, one]) =>
      one
        .replace(/\p{Cc}/gu, ' ')
        .repeat(99)
        .slice(0, length),
    ),
  );
const address = fc
  .tuple(fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::1', '::1', 'fe80::1:2:3:4')), fc.nat(65_535))
  .map(([host, port]) => ({ host, port }));
const UIDS = ['alice', '10017676', 'zoë'];
const device = fc.record({
  uid: fc.constantFrom(...UIDS),
  instance: fc.constantFrom('', 'phone'),
  wan: fc.oneof({ weight: 5, arbitrary: fc.constant(HERE) }, address, fc.constant({ host: '127.0.0.1', port: 0 })),
  local: fc.option(address, { nil: null }),
  network: fc.constantFrom('wan' as const, 'lan' as const),
  firewall: fc.constantFrom(...FIREWALLS),
  status: fc.constantFrom(...STATUSES),
  note: text(96),
  device: text(512),
  contact: fc.constantFrom('', 'sip:bob@10.0.0.7:5060;transport=udp'),
  alias: text(256),
  telephones: fc.array(fc.constantFrom('+86 10017676', '110', 'x'.repeat(64)), { maxLength: 16 }),
  buddies: fc.oneof(fc.subarray(UIDS), fc.constant(Array.from({ length: 200 }, (_, i) => `buddy-${i}`))),
  blocked: fc.oneof(fc.constant([]), fc.subarray(UIDS)),
  privacy: fc.constantFrom(...AUDIENCES),
  contactVisibleTo: fc.constantFrom(...AUDIENCES),
  mayBeCalledBy: fc.constantFrom(...AUDIENCES),
});
type Device = typeof device extends fc.Arbitrary<infer T> ? T : never;

const cookieOf = (which: number): string => hash('md5', String(which));
const keyOf = (which: number): Buffer => Buffer.from(hash('sha256', String(which)), 'hex');

/** Most of them as they mostly are. */
function mostly<T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 9 * others.length, arbitrary: fc.constant(usual) },
    ...others.map((one) => fc.constant(one)),
  );
}

const request = fc.record({
  whose: mostly(0, 1, 2, 3),
  verb: fc.constantFrom(
    ...['Heartbeat', 'Heartbeat', 'Heartbeat', 'Locate alice', 'Locate alice', 'Locate alice'],
    'Heartbeat ',
    'Locate 10017676',
    'Locate zoë',
    'Locate nobody',
    'Locate a:b',
  ),
  id: mostly('r1', 'R-2_3.4', 'x'.repeat(32), 'x'.repeat(33), 'a b', ''),
  seqStep: mostly(1, 0, -1, -100, 70, 2 ** 32),
  headers: mostly(
    'id cookie seq',
    'cookie seq id',
    'seq id cookie',
    'id cookie',
    'id id cookie seq',
    'id cookie seq seq',
  ),
  extra: mostly('', 'x: y\r\n', 'status: busy\r\n', 'local: 1.2.3.4:5\r\n', 'x\r\n'),
  space: mostly(': ', ':', ':  '),
  end: mostly('\r\n\r\n', '\n\n', '\r\n\r\nbody', '\r\n'),
  isUpperCase: mostly(false, true),
  /** Where a byte is changed, and into what; before or after the mac was made. */
  damage: fc.option(fc.tuple(fc.integer({ min: 1, max: 200 }), fc.nat(255), fc.boolean()), { freq: 6 }),
  from: mostly(HERE, ELSEWHERE),
  isForged: mostly(false, true),
  /** The one before again. */
  isRepeat: mostly(false, true),
  secondsLater: mostly(0, 1, 40),
  /** It comes in a batch. */
  isAnnounced: fc.boolean(),
});
type Asked = typeof request extends fc.Arbitrary<infer T> ? T : never;

function bytesOf(asked: Asked, whose: number, seq: number, isSlow: boolean): Buffer {
  const cookie = cookieOf(whose);
  const values: Readonly<Record<string, string>> = {
    id: asked.id,
    cookie: asked.isUpperCase ? cookie.toUpperCase() : cookie,
    seq: String(seq),
  };
  const verb = isSlow ? asked.verb.slice(0, 1).toLowerCase() + asked.verb.slice(1) : asked.verb;
  const headers = asked.headers.split(' ').map((name) => `${name}${asked.space}${values[name] ?? ''}\r\n`);
  const head = Buffer.from([`${verb}\r\n`, ...headers, asked.extra].join(''));
  const damage = (bytes: Buffer, isBefore: boolean): void => {
    const [at = 0, byte = 0, when = false] = asked.damage ?? [];
    if (asked.damage !== null && when === isBefore && at < bytes.length) bytes[at] = byte;
  };
  damage(head, true);
  const body = asked.end.slice(4);
  const key = keyOf(asked.isForged ? whose + 1 : whose);
  const mac = macOf(key, body === '' ? head : Buffer.concat([head, Buffer.from(`\r\n${body}`)]));
  const bytes = Buffer.concat([head, Buffer.from(`mac: ${asked.isUpperCase ? mac.toUpperCase() : mac}${asked.end}`)]);
  // The two have different macs, and what damages the one may be no change of the other.
  const isOfMac = asked.damage !== null && asked.damage[0] >= head.length + 5 && asked.damage[0] < head.length + 37;
  if (!isOfMac) damage(bytes, false);
  return bytes;
}

async function node(devices: readonly Device[]) {
  const one = await udpNode();
  const nowS = Math.floor(one.time.clock.now() / 1000);
  devices.forEach((each, i) => {
    const profile = { ...each, mayCallOut: true, devicesMax: 5, forwarding: NO_FORWARDING };
    const stamp = { version: '0'.repeat(16), secret: '0'.repeat(16), endsS: 0 };
    const session = { ...each, cookie: cookieOf(i), key: keyOf(i), registration: '', lifetimeS: 300 };
    one.table.open({ profile, stamp, epoch: 1, logoutAt: null }, session, nowS);
    one.directory.put({ uid: each.uid });
  });
  const sent: string[] = [];
  const socket: DatagramSocket = {
    local: one.at,
    send: (bytes, to) => void sent.push(`${formatAddress(to)} ${Buffer.from(bytes).toString('latin1')}`),
    close: () => Promise.resolve(),
  };
  const receive = async (bytes: Buffer, from: Address): Promise<void> => {
    one.udp.receive(socket, Buffer.from(bytes), from);
    await settle();
  };
  /** What the node did and keeps, but for what is random. */
  const state = () => ({
    sent: sent.map((reply) => (reply.includes('\nprobe: ') ? reply.replace(/(?:probe|mac): [0-9a-f]+/g, '') : reply)),
    saved: [...one.table.saved()],
    windows: Array.from({ length: one.table.sessions.used }, (_, row) => one.table.sessions.window(row)),
    // The others count what they locate inside.
    counters: { ...one.counters, locatesUser: 0 },
  });
  return { ...one, sent, socket, receive, state };
}

/** Sends the same requests to both; what was answered. */
async function compare(devices: readonly Device[], requests: readonly Asked[], isDraining: boolean): Promise<string[]> {
  const [fast, slow] = [await node(devices), await node(devices)];
  const seqs = devices.map(() => 100);
  let last: readonly [Buffer, Buffer] | undefined;
  for (const [i, asked] of requests.entries()) {
    const whose = asked.whose % (devices.length + 1);
    const seq = Math.max(0, (seqs[whose] ?? 0) + asked.seqStep);
    seqs[whose] = Math.max(seq, seqs[whose] ?? 0) % 2 ** 32;
    if (!asked.isRepeat || last === undefined) {
      last = [bytesOf(asked, whose, seq, false), bytesOf(asked, whose, seq, true)];
    }
    for (const side of [fast, slow]) {
      await side.time.advance(asked.secondsLater * 1_000);
      if (isDraining && i > requests.length / 2) side.servers.setState('draining');
    }
    if (asked.isAnnounced) fast.udp.coming(last[0]);
    await fast.receive(last[0], asked.from);
    await slow.receive(last[1], asked.from);
    expect(fast.state()).toEqual(slow.state());
  }
  return fast.sent;
}

const USUAL: Asked = {
  ...{ whose: 0, verb: 'Heartbeat', id: 'r1', seqStep: 1, headers: 'id cookie seq', extra: '', space: ': ' },
  ...{
    end: '\r\n\r\n',
    isUpperCase: false,
    isForged: false,
    damage: null,
    from: HERE,
    isRepeat: false,
    secondsLater: 0,
    isAnnounced: true,
  },
};

const ALICE: Device = {
  ...{ uid: 'alice', instance: '', wan: HERE, local: null, network: 'wan', firewall: 'weak', status: 'online' },
  ...{ note: '', device: '', contact: '', alias: '', telephones: [], buddies: [], blocked: [], privacy: 'all' },
  ...{ contactVisibleTo: 'all', mayBeCalledBy: 'all' },
};

describe('the express lane', () => {
  it('answers every request as the others would, and leaves the same behind', async () => {
    const answers: string[] = [];
    await fc.assert(
      fc.asyncProperty(
        fc.array(device, { maxLength: 3 }),
        fc.array(request, { minLength: 1, maxLength: 30 }),
        fc.boolean(),
        async (devices, requests, isDraining) => {
          answers.push(...(await compare([ALICE, ...devices], requests, isDraining)));
        },
      ),
      { numRuns: 120 },
    );
    for (const verb of ['Ok', 'User', 'Error']) {
      expect(answers.filter((one) => one.includes(` ${verb}`)).length, verb).toBeGreaterThan(10);
    }
  });

  it('answers every Locate as the others would', async () => {
    const answers: string[] = [];
    await fc.assert(
      fc.asyncProperty(fc.array(device, { minLength: 1, maxLength: 6 }), async (others) => {
        const requests = ['alice', '10017676'].map((uid) => ({ ...USUAL, verb: `Locate ${uid}` }));
        answers.push(...(await compare([ALICE, ...others], requests, false)));
      }),
      { numRuns: 120 },
    );
    for (const piece of [' Offline', '\nnote: ', '\nlocal: ', '\ntelephone: ', '\ndevice: ', '\nsip: ']) {
      expect(answers.filter((one) => one.includes(piece)).length, piece).toBeGreaterThan(2);
    }
  });

  const taken: readonly (readonly [string, Partial<Asked>])[] = [
    ['a Heartbeat', {}],
    ['headers in another order', { headers: 'seq id cookie' }],
    ['a Locate', { verb: 'Locate zoe' }],
    ['a Locate of himself', { verb: 'Locate alice' }],
    ['a seq within the window', { seqStep: -10 }],
  ];
  it.each(taken)('takes %s', async (_name, change) => {
    const { express, one } = await online();
    expect(
      express.take(one.socket, bytesOf({ ...USUAL, ...change }, 0, 100 + (change.seqStep ?? 1), false), HERE),
    ).toBe(true);
    expect(one.sent).toHaveLength(2);
  });

  const left: readonly (readonly [string, Partial<Asked>])[] = [
    ['another verb', { verb: 'Servers' }],
    ['another address', { from: ELSEWHERE }],
    ['a seq that was used', { seqStep: 0 }],
    ['a wrong mac', { isForged: true }],
    ['somebody who is not there', { verb: 'Locate bob' }],
    ['what the device says', { extra: 'status: busy\r\n' }],
    ['a header twice', { headers: 'id id cookie seq' }],
    ['an unknown cookie', { whose: 7 }],
  ];
  it.each(left)('leaves %s to the others', async (_name, change) => {
    const { express, one } = await online();
    const before = one.state();
    const asked = { ...USUAL, ...change };
    expect(express.take(one.socket, bytesOf(asked, asked.whose, 100 + asked.seqStep, false), asked.from)).toBe(false);
    expect(one.state()).toEqual(before);
  });
});

/** Two users, and one Heartbeat was answered. */
async function online() {
  const one = await node([ALICE, { ...ALICE, uid: 'zoe' }]);
  const express = createExpress(contextOf(one.udpDeps));
  expect(express.take(one.socket, bytesOf(USUAL, 0, 100, false), HERE)).toBe(true);
  return { one, express };
}
