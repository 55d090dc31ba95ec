/** SIP MESSAGE from one registered telephone to another, on one core, against Kamailio (proxy) on the same core. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import { startChild } from '../child.ts';
import { REALM } from '../client.ts';
import { startKamailio } from '../kamailio.ts';
import { alternate, format, median } from '../report.ts';
import type { Row } from '../report.ts';
import { authorization, nonceOf } from '../sip-client.ts';
import type { Run, Subject } from '../subject.ts';
import { importUsers, openSqlite, uidOf, writeUsers } from '../users.ts';

const CORE = '0';
const USERS = 1_000;
const IN_FLIGHT = 64;
/** Nothing came for so long: what is in flight is lost. */
const SILENCE_MS = 3_000;
const TEXT = 'Shall we meet at seven, in front of the station?';

interface Sent {
  readonly perCpuSecond: number;
  readonly perSecond: number;
}

/** One of the two servers, and the telephones that are registered there: all of them at one socket. */
interface Side {
  readonly server: { readonly port: number; cpuMs(): Promise<number> };
  readonly phones: Socket;
  nonce: string;
  /** Nonce-count and CSeq, the same for all telephones. */
  count: number;
}

export const messages: readonly Subject[] = [{ name: 'sip-message', measure }];

async function measure(run: Run): Promise<Row[]> {
  const count = run.quick ? 2_000 : 30_000;
  const place = await (await openSqlite(run.folder)).fresh();
  const file = join(run.folder, 'messages.ldif');
  await writeUsers(file, USERS);
  await importUsers(place, file);
  const node = await startChild('vserver', { cores: CORE, env: place.env });
  try {
    const kamailio = await startKamailio(run.folder, CORE);
    try {
      const { sip: port } = await node.ask<{ sip: number }>('ports');
      const ours = await openSide({ port, cpuMs: () => node.cpuMs() });
      const theirs = await openSide(kamailio);
      const measured = await alternate(
        run.reps,
        () => sendAll(ours, count),
        () => sendAll(theirs, count),
      );
      for (const { phones } of [ours, theirs]) phones.close();
      const perSecond = (sent: readonly Sent[]): string => format(median(sent.map((one) => one.perSecond)));
      return [
        {
          subject: 'MESSAGE from phone to phone, Digest, one core',
          unit: 'messages a CPU second',
          ours: measured.ours.map((one) => one.perCpuSecond),
          reference: { name: 'Kamailio', values: measured.reference.map((one) => one.perCpuSecond) },
          goal: { ratioMin: 0.5 },
          notes: [
            `by the clock ${perSecond(measured.ours)}/s against ${perSecond(measured.reference)}/s`,
            `${format(USERS)} users`,
            'generator: Node',
          ],
        },
      ];
    } finally {
      await kamailio.stop();
    }
  } finally {
    await node.stop();
  }
}

async function openSide(server: Side['server']): Promise<Side> {
  const phones = createSocket({ type: 'udp4', recvBufferSize: 4 * 2 ** 20 });
  phones.bind(0, '127.0.0.1');
  await once(phones, 'listening');
  const side = { server, phones, nonce: '', count: 1 };
  // The first one is challenged; one nonce serves for all, as they have one address.
  side.nonce = nonceOf(await ask(side, register(side, uidOf(0), false)));
  await inFlight(side, USERS, (index) => register(side, uidOf(index), true), 'REGISTER');
  return side;
}

async function ask({ server, phones }: Side, request: string): Promise<Buffer> {
  const answer = once(phones, 'message') as Promise<[Buffer]>;
  phones.send(request, server.port, '127.0.0.1');
  return (await answer)[0];
}

async function sendAll(side: Side, count: number): Promise<Sent> {
  const before = await side.server.cpuMs();
  const start = performance.now();
  await inFlight(side, count, (index) => {
    if (index % USERS === 0) side.count++;
    return message(side, uidOf(index % USERS), uidOf((index + 1) % USERS));
  });
  const ms = performance.now() - start;
  const cpuMs = (await side.server.cpuMs()) - before;
  return { perCpuSecond: (count * 1_000) / cpuMs, perSecond: (count * 1_000) / ms };
}

/** Keeps so many under way, and answers what comes for the telephones. Rejects where one is not answered 200. */
function inFlight({ server, phones }: Side, count: number, make: (index: number) => string, method = 'MESSAGE') {
  return new Promise<void>((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    let brought = 0;
    const end = (error?: Error): void => {
      clearTimeout(silence);
      phones.off('message', onMessage);
      if (error === undefined) resolve();
      else reject(error);
    };
    const silence = setTimeout(() => {
      end(new Error(`${answered} of ${count} ${method} were answered`));
    }, SILENCE_MS);
    const next = (): void => {
      if (sent < count) phones.send(make(sent++), server.port, '127.0.0.1');
    };
    const onMessage = (bytes: Buffer): void => {
      const text = bytes.toString('latin1');
      if (text.startsWith('MESSAGE')) {
        brought++;
        phones.send(okTo(text), server.port, '127.0.0.1');
        return;
      }
      if (!text.startsWith('SIP/2.0 200')) {
        if (!text.startsWith('SIP/2.0 1')) end(new Error(text.slice(0, text.indexOf('\r'))));
        return;
      }
      silence.refresh();
      if (++answered < count) next();
      else end(method === 'MESSAGE' && brought < count ? new Error(`${brought} of ${count} were brought`) : undefined);
    };
    phones.on('message', onMessage);
    for (let i = 0; i < IN_FLIGHT; i++) next();
  });
}

/** As a telephone takes a message. */
function okTo(request: string): string {
  const head = request.slice(0, request.indexOf('\r\n\r\n')).split('\r\n');
  const kept = head.filter((line) => /^(?:Via|From|Call-ID|CSeq): /.test(line));
  const to = head.find((line) => line.startsWith('To: ')) ?? '';
  return `SIP/2.0 200 OK\r\n${kept.join('\r\n')}\r\n${to};tag=p\r\nContent-Length: 0\r\n\r\n`;
}

let branches = 0;

function head({ phones, count }: Side, method: string, uri: string, from: string, to: string): string {
  const own = `127.0.0.1:${phones.address().port}`;
  return (
    `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${own};rport;branch=z9hG4bK${branches++}\r\nMax-Forwards: 70\r\n` +
    `From: <sip:${from}@${REALM}>;tag=t${from}\r\nTo: <sip:${to}@${REALM}>\r\n` +
    `Call-ID: ${method}${from}@${own}\r\nCSeq: ${count} ${method}\r\nUser-Agent: bench-ua/1.0\r\n`
  );
}

function register(side: Side, uid: string, isAuthorized: boolean): string {
  const uri = `sip:${REALM}`;
  const { nonce, count } = side;
  const contact = `<sip:${uid}@127.0.0.1:${side.phones.address().port};transport=udp>;expires=3600`;
  return (
    `${head(side, 'REGISTER', uri, uid, uid)}Contact: ${contact}\r\n` +
    `${isAuthorized ? authorization('REGISTER', uri, uid, { nonce, count }) : ''}Content-Length: 0\r\n\r\n`
  );
}

function message(side: Side, from: string, to: string): string {
  const uri = `sip:${to}@${REALM}`;
  const { nonce, count } = side;
  return (
    `${head(side, 'MESSAGE', uri, from, to)}${authorization('MESSAGE', uri, from, { nonce, count })}` +
    `Content-Type: text/plain\r\nContent-Length: ${TEXT.length}\r\n\r\n${TEXT}`
  );
}
