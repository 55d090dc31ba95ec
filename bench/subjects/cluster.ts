/** Two nodes over one MariaDB with a nats-server between them, and what reconciling many sessions takes. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { startMariadb } from '../../test/support/mariadb.ts';
import type { Mariadb } from '../../test/support/mariadb.ts';
import { startNats } from '../../test/support/nats.ts';
import { startChild } from '../child.ts';
import type { Child } from '../child.ts';
import { inFlight, openClient } from '../client.ts';
import type { Client, Session } from '../client.ts';
import { openLogins } from '../logins-client.ts';
import type { ManyLogins } from '../logins-client.ts';
import { alternate, format, median } from '../report.ts';
import type { Row } from '../report.ts';
import type { Run, Subject } from '../subject.ts';
import { importUsers, settings, uidOf, writeUsers } from '../users.ts';

const CORES = '0-1';
const IN_FLIGHT = 64;
const DATABASE = 'bench';
/** A node hears of another one within a few seconds. */
const MET_MS_MAX = 20_000;
const MAC_AND_LENGTH = 44;

export const cluster: readonly Subject[] = [
  { name: 'cluster', measure: (run) => withMariadb(run, measure) },
  { name: 'reconciliation', measure: (run) => withMariadb(run, reconciliation) },
];

type Setting = Readonly<Record<string, string>>;

async function withMariadb(run: Run, work: (run: Run, mariadb: Mariadb, env: Setting) => Promise<Row[]>) {
  const mariadb = await startMariadb();
  try {
    const data = await mkdtemp(join(run.folder, 'cluster-'));
    return await work(run, mariadb, settings(data, await mariadb.url(DATABASE)));
  } finally {
    await mariadb.stop();
  }
}

interface Side {
  readonly node: Child;
  readonly client: Client;
  readonly logins: ManyLogins;
}

async function openSide(run: Run, name: string, env: Setting): Promise<Side> {
  const folder = await mkdtemp(join(run.folder, `${name}-`));
  const node = await startChild('vserver', { cores: CORES, env: { ...env, VSERVER_NAME: name, VSERVER_DATA: folder } });
  const { udp } = await node.ask<{ udp: number }>('ports');
  const client = await openClient(udp);
  return { node, client, logins: openLogins(folder, udp, client, IN_FLIGHT) };
}

async function measure(run: Run, _mariadb: Mariadb, alone: Setting): Promise<Row[]> {
  const users = run.quick ? 500 : 5_000;
  const file = join(run.folder, 'cluster.ldif');
  // One device each: a login elsewhere takes the user over.
  await writeUsers(file, users, 'vsDevicesMax: 1\n');
  await importUsers({ env: alone }, file);
  const nats = await startNats();
  const env = { ...alone, VSERVER_NATS: nats.url, VSERVER_CLUSTER_KEY: 'the key of the benchmark' };
  const [a, b] = [await openSide(run, 'a', env), await openSide(run, 'b', env)];
  try {
    const heard = await listen(nats.url);
    const uids = Array.from({ length: users }, (_, i) => uidOf(i));
    await met(a, b, uidOf(0));
    const rows = [...(await takeovers(run, [a, b], uids, heard)), ...(await hops(run, a, b, uids))];
    await heard.close();
    return rows;
  } finally {
    for (const { client, node } of [a, b]) {
      await client.close();
      await node.stop();
    }
    await nats.stop();
  }
}

interface Heard {
  /** Messages by kind since the last call. */
  take(): ReadonlyMap<string, number>;
  close(): Promise<void>;
}

async function listen(url: string): Promise<Heard> {
  const connection = await connect({ servers: url });
  let kinds = new Map<string, number>();
  connection.subscribe('>', {
    callback: (_error, message) => {
      const text = Buffer.from(message.data).toString('latin1').slice(MAC_AND_LENGTH);
      const kind = /"kind":"([^"]+)"/.exec(text)?.[1] ?? 'answer';
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    },
  });
  await connection.flush();
  return {
    take() {
      const taken = kinds;
      kinds = new Map();
      return taken;
    },
    close: () => connection.close(),
  };
}

/** Until each of them sends a client who looks for a user of the other one there. */
async function met(a: Side, b: Side, uid: string): Promise<void> {
  const session = await b.client.login(uid);
  const untilMs = performance.now() + MET_MS_MAX;
  const asker = await a.client.login(uidOf(1));
  while ((await a.client.locate(asker, uid)).verb !== 'SeeAlso') {
    if (performance.now() > untilMs) throw new Error('the two nodes do not meet');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await a.client.logout(asker);
  await b.client.logout(session);
}

/** All users log in at one node and then at the other; against logins of users who are nowhere. */
async function takeovers(run: Run, sides: readonly [Side, Side], uids: string[], heard: Heard): Promise<Row[]> {
  const messages: number[] = [];
  const kinds = new Set<string>();
  let turn = 0;
  const login = async (side: Side): Promise<{ seconds: number; sessions: Session[] }> => side.logins.run(uids);
  const measured = await alternate(
    run.reps,
    async () => {
      const [first, second] = turn++ % 2 === 0 ? sides : [sides[1], sides[0]];
      await login(first);
      heard.take();
      const { seconds, sessions } = await login(second);
      const kindsNow = [...heard.take()].filter(([kind]) => kind !== 'server');
      messages.push(kindsNow.reduce((sum, [, count]) => sum + count, 0) / uids.length);
      for (const [kind, count] of kindsNow) if (count * 100 > uids.length) kinds.add(kind);
      await inFlight(sessions, IN_FLIGHT, (session) => second.client.logout(session));
      await second.node.ask('settled');
      return uids.length / seconds;
    },
    async () => {
      const [side] = sides;
      const { seconds, sessions } = await login(side);
      await inFlight(sessions, IN_FLIGHT, (session) => side.client.logout(session));
      await side.node.ask('settled');
      return uids.length / seconds;
    },
  );
  return [
    {
      subject: `login with takeover from another node, MariaDB, ${IN_FLIGHT} in flight`,
      unit: 'logins/s',
      ours: measured.ours,
      reference: { name: 'logins of users who are nowhere', values: measured.reference },
      goal: null,
      notes: [sides[0].logins.name, 'nodes, client, nats-server and database share all cores'],
    },
    {
      subject: 'messages on the bus, a login with takeover',
      unit: 'messages a login',
      ours: messages.slice(1),
      reference: null,
      goal: null,
      notes: [
        `exactly ${messages
          .slice(1)
          .map((one) => one.toFixed(3))
          .join(', ')}; kinds: ${[...kinds].join(', ')}`,
      ],
    },
  ];
}

/** Processor time of both nodes, of a Locate that is answered by the other one, against one that is answered at once. */
async function hops(run: Run, a: Side, b: Side, uids: readonly string[]): Promise<Row[]> {
  const half = Math.floor(uids.length / 2);
  const there = uids.slice(half);
  // By the socket that asks: to another one no long reply is sent.
  const here = await inFlight(uids.slice(0, half), IN_FLIGHT, (uid) => a.client.login(uid));
  await b.logins.run(there);
  const perSecond: number[] = [];
  const locates = async (work: (session: Session, i: number) => Promise<void>): Promise<number> => {
    const cpuMs = async (): Promise<number> => (await a.node.cpuMs()) + (await b.node.cpuMs());
    const [before, start] = [await cpuMs(), performance.now()];
    let next = 0;
    await inFlight(here, IN_FLIGHT, (session) => work(session, next++));
    perSecond.push((here.length * 1_000) / (performance.now() - start));
    return (here.length * 1_000) / ((await cpuMs()) - before);
  };
  const measured = await alternate(
    run.reps,
    () =>
      locates(async (session, i) => {
        const uid = there[i % there.length] ?? '';
        const sent = await a.client.locate(session, uid);
        if (sent.verb !== 'SeeAlso') throw new Error(`${sent.verb} ${sent.argument}`);
        const found = await b.client.locateByTicket(uid, sent.headers.get('ticket') ?? '');
        if (found.verb !== 'User') throw new Error(`${found.verb} ${found.argument}`);
      }),
    () =>
      locates(async (session, i) => {
        const found = await a.client.locate(session, uids[(i + 1) % half] ?? '');
        if (found.verb !== 'User') throw new Error(`${found.verb} ${found.argument}`);
      }),
  );
  return [
    {
      subject: 'Locate with one hop: SeeAlso by MariaDB, then the other node by ticket',
      unit: 'Locates a CPU second of both nodes',
      ours: measured.ours,
      reference: { name: 'a user who is here', values: measured.reference },
      goal: null,
      notes: [
        `by the clock ${format(median(perSecond.filter((_, i) => i > 1 && i % 2 === 0)))}/s`,
        'client in Node; short runs, in which the compiler of Node takes its part',
      ],
    },
  ];
}

async function reconciliation(run: Run, mariadb: Mariadb, alone: Setting): Promise<Row[]> {
  const users = run.quick ? 5_000 : 100_000;
  const env = { ...alone, VSERVER_MAX_USERS: String(users) };
  const file = join(run.folder, 'reconciliation.ldif');
  await writeUsers(file, users);
  await importUsers({ env }, file);
  await mariadb.sql(
    DATABASE,
    `REPLACE INTO locations (uid, server, server_address, network, wan, login_at, epoch)
     SELECT uid, 'bench', '127.0.0.1:4321', 'wan', '127.0.0.1:40000', 1, 1 FROM users`,
  );
  const queries = async (): Promise<number> => {
    const [row] = await mariadb.sql(DATABASE, "SHOW GLOBAL STATUS LIKE 'Questions'");
    return Number(row?.['Value']);
  };
  const node = await startChild('reconcile', { cores: CORES, env });
  const timed = async (subject: string, work: () => Promise<number>): Promise<Row> => {
    const [before, cpuBefore, start] = [await queries(), await node.cpuMs(), performance.now()];
    const found = await work();
    const seconds = (performance.now() - start) / 1_000;
    if (found !== users) throw new Error(`${subject}: ${found} of ${users}`);
    const cpuS = ((await node.cpuMs()) - cpuBefore) / 1_000;
    const notes = [
      `${format((await queries()) - before)} queries of MariaDB`,
      `${seconds.toFixed(2)} s, ${cpuS.toFixed(2)} s of processor time of the node`,
    ];
    return { subject, unit: 'milliseconds', ours: [seconds * 1_000], reference: null, goal: null, notes };
  };
  try {
    await node.ask('fill');
    const of = `${format(users)} sessions`;
    return [
      await timed(`reconciliation: ${of} in memory, all as in the directory`, () => node.ask<number>('sweep')),
      await timed(
        `reconciliation: ${of} in the directory, all in memory`,
        async () => users + (await node.ask<number>('pass', { isEmpty: false })),
      ),
      await timed(`reconciliation: ${of} in the directory, none in memory`, () =>
        node.ask<number>('pass', { isEmpty: true }),
      ),
    ];
  } finally {
    await node.stop();
  }
}
