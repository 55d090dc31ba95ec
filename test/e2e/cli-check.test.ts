/** What `vserver check` finds, each with how to mend it: the built command against what is really wrong. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDirectory } from '../../src/backends.ts';
import { loadConfig } from '../../src/config.ts';
import type { Finding } from '../../src/directory/directory.ts';
import { systemPorts } from '../../src/node.ts';
import { startMariadb } from '../support/mariadb.ts';
import { startNats } from '../support/nats.ts';
import { ROOT_DN, ROOT_PASSWORD, startSlapd } from '../support/slapd.ts';
import { answerOf, ensureBuilt, newPlace } from './support-cli.ts';
import type { Place } from './support-cli.ts';
import { nodeSettings } from './support-node.ts';

let place: Place;
beforeAll(async () => {
  ensureBuilt();
  place = newPlace();
  await place.run(['import', 'ldif/sample.ldif']);
}, 120_000);
afterAll(() => place.clear());

/** The findings that are not content; the exit code says whether there is an error among them. */
async function check(env: Record<string, string>): Promise<Finding[]> {
  const finished = await place.run(['check', '--json'], { env });
  const { findings, errors } = answerOf(finished) as unknown as { findings: Finding[]; errors: number };
  expect(finished.code).toBe(errors > 0 ? 1 : 0);
  const bad = findings.filter(({ level }) => level !== 'ok');
  for (const { subject, remedy } of bad) expect([subject, remedy]).not.toEqual([subject, '']);
  return bad;
}

const text = (part: string): string => expect.stringContaining(part) as string;

test('settings: no HTTPS on an open wire, a certificate that is not there, users of the sample for all to use', async () => {
  const cert = { VSERVER_HTTP_CERT: '/nowhere/cert.pem', VSERVER_HTTP_KEY: '/nowhere/key.pem' };
  const open = { VSERVER_LISTEN: '0.0.0.0', VSERVER_ADVERTISE: '127.0.0.1' };
  expect(await check(open)).toMatchObject([
    { level: 'warning', subject: 'settings', remedy: text('VSERVER_HTTP_CERT') },
    { level: 'error', subject: 'directory', message: text('sample users'), remedy: text('vserver user del 10017676') },
  ]);
  expect(await check(cert)).toMatchObject([
    { level: 'error', subject: 'settings', message: text('/nowhere/cert.pem'), remedy: text('VSERVER_HTTP_CERT') },
    { level: 'error', subject: 'settings', message: text('/nowhere/key.pem'), remedy: text('VSERVER_HTTP_KEY') },
  ]);
});

test('settings: a TURN secret that can be guessed, which is shown nowhere', async () => {
  const turn = { VSERVER_TURN_URIS: 'turn:turn.example.com', VSERVER_TURN_SECRET: 'north' };
  expect(await check(turn)).toMatchObject([
    { level: 'warning', subject: 'settings', message: text('TURN secret'), remedy: text('VSERVER_TURN_SECRET') },
  ]);
  expect(await check({ ...turn, VSERVER_TURN_SECRET: '0'.repeat(32) })).toEqual([]);
  expect((await place.run(['settings'], { env: turn })).stdout).not.toContain('north');
});

test('data folder: what is no folder', async () => {
  const file = join(place.data, 'a-file');
  writeFileSync(file, '');
  const findings = await check({ VSERVER_DATA: file });
  expect(findings[0]).toMatchObject({ level: 'error', subject: 'data folder', remedy: text('VSERVER_DATA') });
});

test('ports: those of UDP and TCP that others hold, and an address of another machine', async () => {
  const udp = createSocket('udp4').bind(0, '127.0.0.1');
  const tcp = createServer().listen(0, '127.0.0.1');
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  const [udpPort, tcpPort] = [udp.address().port, (tcp.address() as AddressInfo).port];
  const taken = await check({ VSERVER_UDP_ALT_PORT: String(udpPort), VSERVER_HTTP_PORT: String(tcpPort) });
  udp.close();
  tcp.close();
  expect(taken).toMatchObject([
    { subject: `UDP port ${udpPort}`, message: 'taken by another program', remedy: text('VSERVER_UDP_ALT_PORT') },
    { subject: `TCP port ${tcpPort}`, message: 'taken by another program', remedy: text('VSERVER_HTTP_PORT') },
  ]);
  // Of a block that is kept for documentation (RFC 5737).
  const [far] = (await check({ VSERVER_LISTEN: '192.0.2.1' })).filter(({ subject }) => subject.startsWith('UDP'));
  expect(far).toMatchObject({ level: 'error', message: text('not of this machine'), remedy: 'set VSERVER_LISTEN' });
});

test('a cluster: a NATS server that does not answer, or does, and a directory that nobody else can have', async () => {
  const nats = await startNats();
  const cluster = { VSERVER_NATS: nats.url, VSERVER_CLUSTER_KEY: '0'.repeat(32) };
  const alone = { level: 'warning', subject: 'cluster', remedy: text('VSERVER_DIRECTORY') };
  expect(await check(cluster)).toMatchObject([alone]);
  await nats.stop();
  expect(await check(cluster)).toMatchObject([
    alone,
    { level: 'warning', subject: 'NATS', message: text('refused'), remedy: text('VSERVER_NATS') },
  ]);
});

test('clock: another server that lives in the future', async () => {
  const data = join(place.data, 'clock');
  mkdirSync(data);
  await place.run(['import', 'ldif/sample.ldif'], { env: { VSERVER_DATA: data } });
  const config = loadConfig(nodeSettings({ VSERVER_DATA: data }));
  const directory = await openDirectory(config, systemPorts(config));
  await directory.writeServer({
    ...{ name: 'ahead', udp: { host: '127.0.0.1', port: 4321 }, http: '', sip: null, state: 'on' },
    ...{ users: 0, usersMax: 1, startedAt: Date.now(), seenAt: Date.now() + 3_600_000, version: '' },
  });
  await directory.close();
  expect(await check({ VSERVER_DATA: data })).toMatchObject([
    { level: 'error', subject: 'clock', message: text('ahead'), remedy: text('NTP') },
  ]);
});

describe('OpenLDAP', () => {
  let slapd: Awaited<ReturnType<typeof startSlapd>>;
  beforeAll(async () => {
    slapd = await startSlapd({ cnConfig: true });
  });
  afterAll(() => slapd.stop());

  const ldap = (password: string): Record<string, string> => ({
    VSERVER_DIRECTORY: slapd.url,
    VSERVER_LDAP_BIND_DN: ROOT_DN,
    VSERVER_LDAP_PASSWORD: password,
  });

  test('schema: that it is not loaded', async () => {
    const findings = await check(ldap(ROOT_PASSWORD));
    expect(findings.map(({ level, subject }) => [level, subject])).toEqual([
      ['error', 'LDAP tree'],
      ['error', 'LDAP schema'],
    ]);
    expect(findings[1]?.remedy).toContain('vserver-schema.ldif');
  });

  test('credentials: that the bind is refused, without a word of the password', async () => {
    const findings = await check(ldap('a-wrong-secret'));
    expect(findings).toMatchObject([{ level: 'error', remedy: text('VSERVER_LDAP_PASSWORD') }]);
    expect(JSON.stringify(findings)).not.toContain('a-wrong-secret');
  });
});

test('MariaDB: tables that are still to be made, and credentials that are refused', async () => {
  const server = await startMariadb();
  try {
    const url = await server.url('checked');
    expect(await check({ VSERVER_DIRECTORY: url })).toMatchObject([{ level: 'warning', subject: 'SQL schema' }]);
    const wrong = new URL(url);
    [wrong.username, wrong.password] = ['stranger', 'a-wrong-secret'];
    const findings = await check({ VSERVER_DIRECTORY: wrong.href });
    expect(findings).toMatchObject([{ level: 'error', subject: 'directory', message: text('stranger') }]);
    expect(JSON.stringify(findings)).not.toContain('a-wrong-secret');
  } finally {
    await server.stop();
  }
});
