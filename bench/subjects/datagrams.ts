/** Signed requests of online users on one core, against Node's dgram echoing the same datagrams on the same core. */
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { inFlight, isSignedReply, openClient, signed } from '../client.ts';
import type { Session } from '../client.ts';
import { openGenerator } from '../generator.ts';
import { latencyRow, rateOf } from '../latency.ts';
import type { Pace } from '../latency.ts';
import { load, lostNote } from '../load.ts';
import type { Loaded } from '../load.ts';
import type { Run, Subject } from '../subject.ts';
import { alternate, format, median } from '../report.ts';
import type { Row } from '../report.ts';
import { importUsers, openSqlite, uidOf, writeUsers } from '../users.ts';

const USERS = 1_000;
const CORE = '0';

export const datagrams: readonly Subject[] = [
  { name: 'heartbeat', measure: (run) => measure(run, heartbeats) },
  { name: 'locate', measure: (run) => measure(run, locates) },
  { name: 'latency-heartbeat', measure: (run) => measure(run, heartbeats, 'latency') },
];

interface Traffic {
  readonly subject: string;
  readonly verb: 'Heartbeat' | 'Locate';
  readonly replyVerb: 'Ok' | 'User';
  readonly argument: (index: number) => string;
}

const heartbeats: Traffic = {
  subject: 'heartbeat with mac, one core',
  verb: 'Heartbeat',
  replyVerb: 'Ok',
  argument: () => '',
};

const locates: Traffic = {
  subject: 'Locate of an online user, with mac, one core',
  verb: 'Locate',
  replyVerb: 'User',
  // Some other user each time.
  argument: (index) => uidOf((index * 7_919 + 1) % USERS),
};

async function measure(run: Run, traffic: Traffic, what: 'throughput' | 'latency' = 'throughput'): Promise<Row[]> {
  const backend = await openSqlite(run.folder);
  const place = await backend.fresh();
  const file = join(run.folder, `${traffic.verb}.ldif`);
  await writeUsers(file, USERS);
  await importUsers(place, file);
  const node = await startChild('vserver', { cores: CORE, env: place.env });
  const echo = await startChild('echo', { cores: CORE });
  try {
    const generator = openGenerator(run.folder);
    const { udp } = await node.ask<{ udp: number }>('ports');
    const echoPort = await echo.ask<number>('port');
    const client = await openClient(udp);
    const sessions = await inFlight(
      Array.from({ length: USERS }, (_, i) => uidOf(i)),
      32,
      (uid) => client.login(uid),
    );
    await client.close();
    const sourcePort = client.port;
    const count = run.quick ? 20_000 : 200_000;

    let prepared: readonly Buffer[] = [];
    const ours = (pace?: Pace): Promise<Loaded> => {
      prepared = prepare(traffic, sessions, pace?.count ?? count);
      const what = { datagrams: prepared, port: udp, sourcePort, prefix: traffic.replyVerb, ...rateOf(pace) };
      return load(node, generator, what, (one) => sampleIsGood(one, traffic.replyVerb, sessions));
    };
    const theirs = (pace?: Pace): Promise<Loaded> => {
      const what = { datagrams: prepared, port: echoPort, sourcePort, prefix: traffic.verb, ...rateOf(pace) };
      return load(echo, generator, what);
    };
    if (what === 'latency') return [await latencyRow(run, 'heartbeat', 'dgram echo', ours, theirs)];
    const measured = await alternate(
      run.reps,
      () => ours(),
      () => theirs(),
    );
    const perSecond = (loads: readonly Loaded[]): string => format(median(loads.map((one) => one.perSecond)));
    return [
      {
        subject: traffic.subject,
        unit: 'requests a CPU second',
        ours: measured.ours.map((one) => one.perCpuSecond),
        reference: { name: 'dgram echo', values: measured.reference.map((one) => one.perCpuSecond) },
        goal: { ratioMin: 1.2 },
        notes: [
          `by the clock ${perSecond(measured.ours)}/s against ${perSecond(measured.reference)}/s`,
          `generator: ${generator.name}`,
          lostNote([...measured.ours, ...measured.reference]),
        ],
      },
    ];
  } finally {
    await node.stop();
    await echo.stop();
  }
}

/** The next requests of all sessions in turn; the id says whose. */
function prepare({ verb, argument }: Traffic, sessions: readonly Session[], count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const whose = i % sessions.length;
    return signed(sessions[whose] as Session, verb, argument(i), `${whose}.${i.toString(36)}`);
  });
}

function sampleIsGood(sample: Buffer, verb: string, sessions: readonly Session[]): boolean {
  const whose = Number(/\r\nid: (\d+)\./.exec(sample.toString('latin1'))?.[1]);
  const session = sessions[whose];
  return session !== undefined && isSignedReply(sample, verb, session);
}
