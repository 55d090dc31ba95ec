/** A million users online: the memory they take, and what their number does to the rate of heartbeats. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild } from '../child.ts';
import type { Child } from '../child.ts';
import { alternate, format } from '../report.ts';
import type { Kind } from '../processes/online.ts';
import type { Row } from '../report.ts';
import type { Run, Subject } from '../subject.ts';

export const online: readonly Subject[] = [
  { name: 'memory', measure: (run) => memory(run, NATIVE) },
  { name: 'memory-plain', measure: (run) => memory(run, PLAIN) },
  { name: 'memory-sip', measure: (run) => memory(run, SIP) },
  { name: 'heartbeat-million', measure: heartbeats },
];

const CORE = '0';

async function startOnline(run: Run, users: number, node: readonly string[] = []): Promise<Child> {
  const data = await mkdtemp(join(run.folder, 'online-'));
  return startChild('online', {
    cores: CORE,
    node,
    env: { VSERVER_DATA: data, VSERVER_DIRECTORY: 'sqlite::memory:', VSERVER_MAX_USERS: String(users) },
  });
}

interface Users {
  readonly kind: Kind;
  readonly subject: string;
  readonly bytesMax: number;
}
const NATIVE: Users = { kind: 'native', subject: 'online users', bytesMax: 500 };
const PLAIN: Users = { kind: 'plain', subject: 'online users without a device line', bytesMax: 250 };
const SIP: Users = { kind: 'sip', subject: 'registered SIP users', bytesMax: 450 };

async function memory(run: Run, { kind, subject, bytesMax }: Users): Promise<Row[]> {
  const [few, many] = run.quick ? [20_000, 100_000] : [200_000, 1_000_000];
  const slopes: number[] = [];
  const whole: number[] = [];
  for (let rep = 0; rep < run.reps; rep++) {
    const child = await startOnline(run, many, ['--expose-gc']);
    try {
      const before = await child.ask<number>('residentBytes');
      await child.ask('fill', { users: few, kind });
      const atFew = await child.ask<number>('residentBytes');
      await child.ask('fill', { users: many, kind });
      const atMany = await child.ask<number>('residentBytes');
      slopes.push((atMany - atFew) / (many - few));
      whole.push((atMany - before) / many);
    } finally {
      await child.stop();
    }
  }
  return [
    {
      subject: `resident memory, ${format(many)} ${subject}`,
      unit: `bytes a user, slope from ${format(few)}`,
      ours: slopes,
      reference: null,
      goal: { valueMax: bytesMax },
      notes: [`growth since the empty table: ${whole.map(format).join(', ')} bytes a user`],
    },
  ];
}

async function heartbeats(run: Run): Promise<Row[]> {
  const [few, many] = run.quick ? [1_000, 100_000] : [10_000, 1_000_000];
  const count = run.quick ? 20_000 : 200_000;
  const children = [await startOnline(run, many), await startOnline(run, few)] as const;
  try {
    await children[0].ask('fill', { users: many, kind: 'native' });
    await children[1].ask('fill', { users: few, kind: 'native' });
    const beat = async (child: Child): Promise<number> => {
      await child.ask('prepare', { count });
      return child.ask<number>('beat');
    };
    const measured = await alternate(
      run.reps,
      () => beat(children[0]),
      () => beat(children[1]),
    );
    return [
      {
        subject: `heartbeats at ${format(many)} users, without sockets`,
        unit: 'requests a CPU second',
        ours: measured.ours,
        reference: { name: `at ${format(few)} users`, values: measured.reference },
        goal: { ratioMin: 0.7 },
        notes: ['users in random order, each every 30 simulated seconds, expiry included'],
      },
    ];
  } finally {
    for (const child of children) await child.stop();
  }
}
