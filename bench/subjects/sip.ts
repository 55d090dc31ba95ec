/** Registrations and redirects of SIP on one core, against Kamailio under the same load on the same core. */
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { openGenerator } from '../generator.ts';
import type { Generator, Load } from '../generator.ts';
import { latencyRow, rateOf } from '../latency.ts';
import { startKamailio } from '../kamailio.ts';
import { joined, load, lostNote } from '../load.ts';
import type { Loaded } from '../load.ts';
import { alternate, format, median } from '../report.ts';
import type { Row } from '../report.ts';
import { indexOf, nonceOf, register, request } from '../sip-client.ts';
import type { Ask, Challenge } from '../sip-client.ts';
import type { Run, Subject } from '../subject.ts';
import { importUsers, openSqlite, uidOf, writeUsers } from '../users.ts';

const CORE = '0';
const CONTACT = '@10.20.30.40:5062';
const SOURCE_PORT = 45_060;
const REGISTER_TRIES_MAX = 10;

interface Kind {
  readonly subject: string;
  readonly ratioMin: number;
  readonly run: (side: Side, count: number) => Promise<Loaded>;
}

interface Sides {
  readonly ours: Side;
  readonly theirs: Side;
  /** Requests a run. */
  readonly count: number;
}

/** How many phones are registered, and what the names of such rows begin with. */
const SIZES = [
  { users: 20_000, prefix: 'sip' },
  { users: 200_000, prefix: 'sip200k' },
] as const;

export const sip: readonly Subject[] = [
  ...SIZES.flatMap(({ users, prefix }): Subject[] => [
    {
      name: `${prefix}-register`,
      measure: (run) =>
        measure(run, users, { subject: 'REGISTER, Digest, nonce reused, one core', ratioMin: 1.1, run: refresh }),
    },
    {
      name: `${prefix}-challenge`,
      measure: (run) =>
        measure(run, users, { subject: '401 + REGISTER, one core', ratioMin: 1.2, run: challengeAndRegister }),
    },
    {
      name: `${prefix}-options`,
      measure: (run) =>
        measure(run, users, { subject: 'OPTIONS to 302, one core', ratioMin: 1.3, run: redirect('OPTIONS') }),
    },
    {
      name: `${prefix}-invite`,
      measure: (run) =>
        measure(run, users, {
          subject: 'calls through redirect: INVITE to 302 and ACK, one core',
          ratioMin: 1.5,
          run: redirect('INVITE'),
        }),
    },
  ]),
  {
    name: 'latency-register',
    measure: (run) =>
      withSides(run, SIZES[0].users, ({ ours, theirs, count }) =>
        latencyRow(
          run,
          'REGISTER',
          'Kamailio',
          (pace) => refresh(ours, pace?.count ?? count, rateOf(pace)),
          (pace) => refresh(theirs, pace?.count ?? count, rateOf(pace)),
        ),
      ),
  },
];

/** One of the two servers, and how far the phones are with it. */
interface Side {
  readonly server: { readonly port: number; cpuMs(): Promise<number> };
  readonly generator: Generator;
  readonly users: number;
  /** The nonce that all phones reuse. */
  nonce: string;
  round: number;
}

function measure(run: Run, users: number, { subject, ratioMin, run: once }: Kind): Promise<Row[]> {
  return withSides(run, users, async ({ ours, theirs, count }) => {
    const measured = await alternate(
      run.reps,
      () => once(ours, count),
      () => once(theirs, count),
    );
    return {
      subject: users === SIZES[0].users ? subject : `${subject}, ${format(users)} users`,
      unit: 'requests a CPU second',
      ours: measured.ours.map((one) => one.perCpuSecond),
      reference: { name: 'Kamailio', values: measured.reference.map((one) => one.perCpuSecond) },
      goal: { ratioMin },
      notes: [
        `by the clock ${perSecond(measured.ours)}/s against ${perSecond(measured.reference)}/s`,
        `${format(ours.users)} users`,
        `generator: ${ours.generator.name}`,
        lostNote([...measured.ours, ...measured.reference]),
      ],
    };
  });
}

/** The row that `work` makes with both servers, at which all phones are registered. */
async function withSides(run: Run, usersFull: number, work: (sides: Sides) => Promise<Row>): Promise<Row[]> {
  const users = run.quick ? 1_000 : usersFull;
  const count = run.quick ? 10_000 : Math.max(100_000, users);
  const place = await (await openSqlite(run.folder)).fresh();
  const file = join(run.folder, 'sip.ldif');
  await writeUsers(file, users);
  await importUsers(place, file);
  // Kamailio does not ask who calls, either, nor does it look whether the callee could be reached by the caller.
  const settings = {
    VSERVER_SIP_ANONYMOUS: 'redirect',
    VSERVER_SIP_CALLS: 'redirect',
    VSERVER_MAX_USERS: String(users),
  };
  const env = { ...place.env, ...settings };
  const node = await startChild('vserver', { cores: CORE, env });
  try {
    const kamailio = await startKamailio(run.folder, CORE);
    try {
      const generator = openGenerator(run.folder);
      const { sip: port } = await node.ask<{ sip: number }>('ports');
      const ours: Side = { server: { port, cpuMs: () => node.cpuMs() }, generator, users, nonce: '', round: 0 };
      const theirs: Side = { server: kamailio, generator, users, nonce: '', round: 0 };
      for (const side of [ours, theirs]) await registerAll(side);
      return [await work({ ours, theirs, count })];
    } finally {
      await kamailio.stop();
    }
  } finally {
    await node.stop();
  }
}

function perSecond(loads: readonly Loaded[]): string {
  return format(median(loads.map((one) => one.perSecond)));
}

/** Every phone for the first time, with one nonce for all: it stands for their common address. */
async function registerAll(side: Side): Promise<void> {
  const { samples } = await send(side, 1, (ask) => register(ask, null), 'SIP/2.0 401', { sampleEvery: 1 });
  side.nonce = nonceOf(samples[0] ?? Buffer.alloc(0));
  let missing = Array.from({ length: side.users }, (_, index) => index);
  for (let tries = 0; missing.length > 0; tries++) {
    if (tries === REGISTER_TRIES_MAX) throw new Error(`${missing.length} phones can't be registered`);
    missing = await registerThese(side, missing);
  }
}

/** Those who got no answer in time: a first registration waits for the directory, which may pause. */
async function registerThese(side: Side, phones: readonly number[]): Promise<number[]> {
  const { nonce, round, server, generator } = side;
  const challenge = { nonce, count: ++side.round };
  const datagrams = phones.map((index) =>
    register({ uid: uidOf(index), index, sourcePort: SOURCE_PORT, cseq: cseqOf(round) }, challenge),
  );
  const what = { port: server.port, sourcePort: SOURCE_PORT, prefix: 'SIP/2.0 200', sampleEvery: 1 };
  const { samples, good, received } = await generator.run({ datagrams, ...what });
  const refusal = samples.find((sample) => !sample.includes('SIP/2.0 200'));
  if (good < received) throw new Error(`a phone is refused: ${String(refusal)}`);
  const answered = new Set(samples.map(indexOf));
  return phones.filter((index) => !answered.has(index));
}

async function refresh(side: Side, count: number, paced: Pick<Load, 'rate'> = {}): Promise<Loaded> {
  // Two nonce-counts of a user never come in one run twice: the rounds go on from run to run.
  const { nonce, users, round } = side;
  side.round += Math.ceil(count / users);
  return send(
    side,
    count,
    (ask) => register(ask, { nonce, count: round + 1 + Math.floor(ask.index / users) }),
    'SIP/2.0 200',
    paced,
  );
}

/** Again and again: first all challenges, then all answers to them; both count as one registration. */
async function challengeAndRegister(side: Side, count: number): Promise<Loaded> {
  const parts: Loaded[] = [];
  const rounds = Math.ceil(count / side.users);
  for (let round = 0; round < rounds; round++) parts.push(...(await challengeAndRegisterOnce(side)));
  return joined(parts, rounds);
}

async function challengeAndRegisterOnce(side: Side): Promise<[Loaded, Loaded]> {
  const asked = await send(side, side.users, (ask) => register(ask, null), 'SIP/2.0 401', { sampleEvery: 1 });
  const challenges = new Map<number, Challenge>(
    asked.samples.map((sample) => [indexOf(sample), { nonce: nonceOf(sample), count: 1 }]),
  );
  side.round++;
  const answer = (ask: Ask): Buffer => register(ask, challenges.get(ask.index) ?? null);
  return [{ ...asked, samples: [] }, await send(side, side.users, answer, 'SIP/2.0 200')];
}

function redirect(method: 'OPTIONS' | 'INVITE'): Kind['run'] {
  return (side, count) => {
    side.round++;
    return send(side, count, (ask) => request(method, ask), 'SIP/2.0 302', { ack: method === 'INVITE' });
  };
}

/** Of the first request of a round. */
function cseqOf(round: number): number {
  return 1 + round * 1_000;
}

function send(
  { server, generator, users, round }: Side,
  count: number,
  make: (ask: Ask) => Buffer,
  prefix: string,
  how: Pick<Load, 'sampleEvery' | 'ack' | 'rate'> = {},
): Promise<Loaded> {
  const cseq = cseqOf(round);
  const datagrams = Array.from({ length: count }, (_, index) =>
    make({ uid: uidOf(index % users), index, sourcePort: SOURCE_PORT, cseq: cseq + Math.floor(index / users) }),
  );
  const what = { datagrams, port: server.port, sourcePort: SOURCE_PORT, prefix, ...how };
  return load(server, generator, what, (sample) => (prefix.endsWith('401') ? true : sample.includes(CONTACT)));
}
