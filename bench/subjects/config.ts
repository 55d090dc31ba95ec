/** The CONFIG over HTTP on one core, by the token of a session, against Fastify saying hello on the same core. */
import { join } from 'node:path';
import { httpToken } from '../../src/login/proof.ts';
import { startChild } from '../child.ts';
import type { Child } from '../child.ts';
import { inFlight, openClient } from '../client.ts';
import type { Session } from '../client.ts';
import { loadHttp } from '../http-client.ts';
import type { HttpLoad } from '../http-client.ts';
import { format, median } from '../report.ts';
import type { Row } from '../report.ts';
import type { Run, Subject } from '../subject.ts';
import { importUsers, openSqlite, uidOf, writeUsers } from '../users.ts';

const CORE = '0';
const ADMIN_TOKEN = 'the admin token of the benchmark';
/** How often, a run, the SYSTEM part changes and all documents are rendered anew. */
const CHANGES = 5;

export const config: readonly Subject[] = [{ name: 'config', measure }];

interface Loaded {
  readonly count: number;
  readonly cpuMs: number;
  readonly seconds: number;
}

async function measure(run: Run): Promise<Row[]> {
  const count = run.quick ? 2_000 : 40_000;
  const coldCount = run.quick ? 200 : 4_000;
  const backend = await openSqlite(run.folder);
  const place = await backend.fresh();
  const file = join(run.folder, 'config.ldif');
  const users = coldCount * (run.reps + 1);
  await writeUsers(file, users);
  await importUsers(place, file);
  const node = await startChild('vserver', {
    cores: CORE,
    env: { ...place.env, VSERVER_ADMIN_TOKEN: ADMIN_TOKEN },
  });
  const hello = await startChild('hello', { cores: CORE });
  try {
    const { udp, http } = await node.ask<{ udp: number; http: number }>('ports');
    const client = await openClient(udp);
    const sessions = await inFlight(
      Array.from({ length: users }, (_, i) => uidOf(i)),
      32,
      (uid) => client.login(uid),
    );
    await client.close();
    const helloPort = await hello.ask<number>('port');
    const [first] = sessions;
    if (first === undefined) throw new Error('no sessions');

    const runs: Record<'hello' | 'notModified' | 'warm' | 'cold' | 'rendered', Loaded[]> = {
      ...{ hello: [], notModified: [], warm: [], cold: [], rendered: [] },
    };
    for (let rep = 0; rep <= run.reps; rep++) {
      const fresh = sessions.slice(rep * coldCount, (rep + 1) * coldCount).map((one) => configRequest(one));
      const etag = await etagOf(http, first);
      const loads: Record<keyof typeof runs, () => Promise<Loaded>> = {
        hello: () => load(hello, { port: helloPort, requests: [request('/')], count, status: 200 }),
        notModified: () => load(node, { port: http, requests: [configRequest(first, etag)], count, status: 304 }),
        warm: () => load(node, { port: http, requests: [configRequest(first)], count, status: 200 }),
        cold: () => load(node, { port: http, requests: fresh, count: coldCount, status: 200 }),
        rendered: async () => {
          const rounds: Loaded[] = [];
          for (let change = 0; change < CHANGES; change++) {
            await setVariable(http, `http://www.example.com/${rep}/${change}`);
            rounds.push(await load(node, { port: http, requests: fresh, count: coldCount, status: 200 }));
          }
          return together(rounds);
        },
      };
      for (const [name, one] of Object.entries(loads) as [keyof typeof runs, () => Promise<Loaded>][]) {
        const loaded = await one();
        if (rep > 0) runs[name].push(loaded);
      }
    }
    const row = (subject: string, ours: readonly Loaded[], ratioMin: number | null, note: string): Row => ({
      subject,
      unit: 'requests a CPU second',
      ours: ours.map(perCpuSecond),
      reference: { name: 'Fastify hello world', values: runs.hello.map(perCpuSecond) },
      goal: ratioMin === null ? null : { ratioMin },
      notes: [note, `by the clock ${perSecond(ours)}/s against ${perSecond(runs.hello)}/s`],
    });
    return [
      row(
        'CONFIG over HTTP, not modified',
        runs.notModified,
        0.6,
        '304 to If-None-Match, one session on all connections',
      ),
      row(
        'CONFIG over HTTP, rendered',
        runs.rendered,
        0.3,
        `${coldCount} users whose records are in memory, each asked for once after each of ${CHANGES} changes of SYSTEM`,
      ),
      row(
        'CONFIG over HTTP, asked again',
        runs.warm,
        null,
        'the whole document, already rendered, one session on all connections',
      ),
      row('CONFIG over HTTP, asked first', runs.cold, null, 'one SQLite read a request, then rendered'),
    ];
  } finally {
    await node.stop();
    await hello.stop();
  }
}

function perSecond(loads: readonly Loaded[]): string {
  return format(median(loads.map(({ count, seconds }) => count / seconds)));
}

function perCpuSecond({ count, cpuMs }: Loaded): number {
  return (count / cpuMs) * 1000;
}

function together(loads: readonly Loaded[]): Loaded {
  const sum = (of: (load: Loaded) => number): number => loads.reduce((total, one) => total + of(one), 0);
  return { count: sum((one) => one.count), cpuMs: sum((one) => one.cpuMs), seconds: sum((one) => one.seconds) };
}

async function load(server: Child, what: HttpLoad): Promise<Loaded> {
  const before = await server.cpuMs();
  const seconds = await loadHttp(what);
  const cpuMs = (await server.cpuMs()) - before;
  return { count: what.count, cpuMs, seconds };
}

async function etagOf(port: number, session: Session): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/config`, {
    headers: { authorization: `Bearer ${httpToken(session.cookie, session.key)}`, 'accept-encoding': 'identity' },
  });
  const etag = answer.headers.get('etag');
  if (answer.status !== 200 || etag === null) throw new Error(`CONFIG answered ${answer.status}`);
  return etag;
}

/** Changes the SYSTEM part, and with it everybody's document. */
async function setVariable(port: number, value: string): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/admin/variables/MAIN_URL`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ value }),
  });
  if (answer.status !== 200) throw new Error(`the variable was answered with ${answer.status}`);
}

function configRequest({ cookie, key }: Session, etag?: string): string {
  const condition = etag === undefined ? [] : [`If-None-Match: ${etag}`];
  return request('/v1/config', [`Authorization: Bearer ${httpToken(cookie, key)}`, ...condition]);
}

function request(path: string, headers: readonly string[] = []): string {
  return [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n');
}
