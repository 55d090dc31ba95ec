/** Telephones that are registered at a server, all of them at one socket of bench/native/phones.c, and what they ask for. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startChild } from './child.ts';
import { REALM } from './client.ts';
import { runProgram } from './generator.ts';
import type { LoadResult } from './generator.ts';
import type { KamailioRole } from './kamailio.ts';
import { startKamailio } from './kamailio.ts';
import { load } from './load.ts';
import type { Loaded } from './load.ts';
import { alternate, format, median } from './report.ts';
import type { Row } from './report.ts';
import { authorization, nonceOf } from './sip-client.ts';
import type { Run } from './subject.ts';
import { importUsers, openSqlite, uidOf, writeUsers } from './users.ts';

const SERVER_CORE = '0';
const PHONES_CORE = '1';
const OURS_PORT = 45_061;
const LOST_ONE_IN = 100;
const WINDOW = 64;
const SAMPLE_EVERY = 2_000;

/** One of the two servers, and the phones that are registered there. */
export interface Phones {
  readonly server: { readonly port: number; cpuMs(): Promise<number> };
  /** Theirs. */
  readonly port: number;
  readonly users: number;
  /** Of this run: nonce-count, CSeq and a part of the Call-IDs. */
  round: number;
  /** The one that all phones reuse. */
  nonce: string;
  readonly program: string;
  readonly file: string;
}

export interface Kind {
  readonly subject: string;
  readonly unit: string;
  readonly ratioMin: number;
  readonly role: KamailioRole;
  readonly env: Readonly<Record<string, string>>;
  readonly users: number;
  /** Once, when the phones are registered. */
  readonly prepare?: (phones: Phones) => Promise<void>;
  readonly run: (phones: Phones, isQuick: boolean) => Promise<Loaded>;
  readonly notes: readonly string[];
}

/** The row, with both servers on one core and the phones on another. */
export async function measurePhones(run: Run, kind: Kind): Promise<Row[]> {
  const program = compile(run.folder);
  const users = run.quick ? kind.users / 10 : kind.users;
  const place = await (await openSqlite(run.folder)).fresh();
  const ldif = join(run.folder, 'phones.ldif');
  await writeUsers(ldif, users);
  await importUsers(place, ldif);
  const node = await startChild('vserver', { cores: SERVER_CORE, env: { ...place.env, ...kind.env } });
  try {
    const kamailio = await startKamailio(run.folder, SERVER_CORE, kind.role);
    try {
      const { sip: port } = await node.ask<{ sip: number }>('ports');
      const common = { users, round: 1, nonce: '', program, file: join(run.folder, 'requests') };
      const ours: Phones = { ...common, server: { port, cpuMs: () => node.cpuMs() }, port: OURS_PORT };
      const theirs: Phones = { ...common, server: kamailio, port: 45_062 };
      for (const phones of [ours, theirs]) {
        await registerAll(phones);
        await kind.prepare?.(phones);
      }
      const once = (phones: Phones) => (): Promise<Loaded> => {
        phones.round++;
        return kind.run(phones, run.quick);
      };
      return [rowOf(kind, users, await alternate(run.reps, once(ours), once(theirs)))];
    } finally {
      await kamailio.stop();
    }
  } finally {
    await node.stop();
  }
}

function rowOf(kind: Kind, users: number, measured: { ours: Loaded[]; reference: Loaded[] }): Row {
  const perSecond = (loads: readonly Loaded[]): string => format(median(loads.map((one) => one.perSecond)));
  return {
    subject: kind.subject,
    unit: kind.unit,
    ours: measured.ours.map((one) => one.perCpuSecond),
    reference: { name: 'Kamailio', values: measured.reference.map((one) => one.perCpuSecond) },
    goal: { ratioMin: kind.ratioMin },
    notes: [
      `by the clock ${perSecond(measured.ours)}/s against ${perSecond(measured.reference)}/s`,
      `${format(users)} users`,
      ...kind.notes,
    ],
  };
}

function compile(folder: string): string {
  const program = join(folder, 'phones');
  const source = fileURLToPath(new URL('native/phones.c', import.meta.url));
  const { status } = spawnSync('cc', ['-O2', '-o', program, source], { stdio: 'ignore' });
  if (status === 0) return program;
  throw new Error('a C compiler is missing: on Debian or Ubuntu, sudo apt-get install gcc libc-dev');
}

export interface PhoneLoad {
  readonly requests: readonly Buffer[];
  /** How many requests each of them brings to the phones. */
  readonly brings: number;
  /** So many are under way at the same time. */
  readonly window?: number;
  readonly sampleEvery?: number;
}

/** Rejects where one is refused or lost, or has not brought what it should. */
export async function send(phones: Phones, what: PhoneLoad): Promise<Loaded> {
  const { server, port: sourcePort } = phones;
  const run = (): Promise<LoadResult> => runPhones(phones, what);
  const datagrams = { datagrams: what.requests, port: server.port, sourcePort, prefix: 'SIP/2.0 2' };
  return load(server, { name: 'phones', run }, datagrams);
}

async function runPhones({ program, file, server, port }: Phones, load: PhoneLoad): Promise<LoadResult> {
  const { requests, brings, window = WINDOW, sampleEvery = SAMPLE_EVERY } = load;
  const args = [server.port, port, window, brings, sampleEvery];
  const result = await runProgram<{ readonly brought: number }>({ program, file, core: PHONES_CORE }, requests, args);
  const expected = requests.length * brings;
  // An ACK that finds the buffer of a server full is lost: nobody repeats it.
  if (expected - result.brought > requests.length / LOST_ONE_IN) {
    const whose = port === OURS_PORT ? 'ours' : 'the reference';
    throw new Error(`${result.brought} of ${expected} requests reached the phones at ${whose}`);
  }
  return result;
}

async function registerAll(phones: Phones): Promise<void> {
  const asked = await runPhones(phones, { requests: [register(phones, 0, '')], brings: 0 });
  phones.nonce = nonceOf(asked.samples[0] ?? Buffer.alloc(0));
  const requests = Array.from({ length: phones.users }, (_, index) => {
    const uid = uidOf(index);
    return register(phones, index, authorize(phones, 'REGISTER', `sip:${REALM}`, uid));
  });
  await send(phones, { requests, brings: 0 });
}

function register(phones: Phones, index: number, lines: string): Buffer {
  const uid = uidOf(index);
  const contact = `Contact: <sip:${uid}@127.0.0.1:${phones.port};transport=udp>;expires=3600\r\n`;
  return request(phones, { method: 'REGISTER', uri: `sip:${REALM}`, from: uid, to: uid, index }, contact + lines);
}

/** The header line that proves who sends it; each user can send one a round. */
export function authorize({ nonce, round }: Phones, method: string, uri: string, uid: string): string {
  return authorization(method, uri, uid, { nonce, count: round });
}

export interface Asked {
  readonly method: string;
  readonly uri: string;
  /** Uids. */
  readonly from: string;
  readonly to: string;
  /** Of the request in its run. */
  readonly index: number;
}

export function request({ port, round }: Phones, asked: Asked, lines: string, body = ''): Buffer {
  const { method, uri, from, to, index } = asked;
  const own = `127.0.0.1:${port}`;
  return Buffer.from(
    `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${own};rport;branch=z9hG4bK${method}${round}.${index}\r\n` +
      `Max-Forwards: 70\r\nFrom: <sip:${from}@${REALM}>;tag=t${from}\r\nTo: <sip:${to}@${REALM}>\r\n` +
      `Call-ID: ${method}${round}.${index}@${own}\r\nCSeq: 1 ${method}\r\nUser-Agent: bench-ua/1.0\r\n` +
      `${lines}Content-Length: ${body.length}\r\n\r\n${body}`,
    'latin1',
  );
}
